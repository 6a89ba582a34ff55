/* The text of histograms: what `_histograms` of instrumentation/exposition/formats.py yields, at a tenth of its cost.

   Nearly all of that is the text of numbers. Counts are whole numbers, whose digits are written here; any other number
   is left to Python's own repr. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <string.h>

#include "_rendering.h"

#define WHOLE 9007199254740992.0 /* 2^53; below it every whole number is exact, and repr knows no exponent */
#define LONGEST_WHOLE 18         /* characters: 16 digits and ".0" */

typedef struct {
    char *start, *end, *limit;
} Text;

static int
text_grow(Text *text, size_t more)
{
    size_t used = text->end - text->start;
    size_t size = 2 * (used + more);
    char *grown = PyMem_Realloc(text->start, size);
    if (grown == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    text->start = grown;
    text->end = grown + used;
    text->limit = grown + size;
    return 0;
}

static inline int
text_reserve(Text *text, size_t more)
{
    return (size_t)(text->limit - text->end) >= more ? 0 : text_grow(text, more);
}

static inline int
put(Text *text, const char *from, size_t size)
{
    if (text_reserve(text, size) < 0) {
        return -1;
    }
    memcpy(text->end, from, size);
    text->end += size;
    return 0;
}

static inline int
put_bytes(Text *text, PyObject *bytes)
{
    return put(text, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
}

static int
put_other(Text *text, double number)
{
    if (!isfinite(number)) {
        const char *name = isnan(number) ? "NaN" : number > 0 ? "+Inf" : "-Inf";
        return put(text, name, strlen(name));
    }
    char *digits = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (digits == NULL) {
        return -1;
    }
    int failed = put(text, digits, strlen(digits));
    PyMem_Free(digits);
    return failed;
}

static int
put_number(Text *text, double number)
{
    if (!(number >= 0 && number < WHOLE) || signbit(number) || number != (double)(unsigned long long)number) {
        return put_other(text, number);
    }
    char digits[LONGEST_WHOLE];
    char *first = digits + LONGEST_WHOLE;
    *--first = '0';
    *--first = '.';
    unsigned long long rest = (unsigned long long)number;
    do {
        *--first = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    return put(text, first, digits + LONGEST_WHOLE - first);
}

/* One line: `<name><suffix><labels> <number>`. */
static int
put_line(Text *text, PyObject *name, const char *suffix, PyObject *labels, double number)
{
    if (put_bytes(text, name) < 0 || put(text, suffix, strlen(suffix)) < 0 || put_bytes(text, labels) < 0
        || put(text, " ", 1) < 0 || put_number(text, number) < 0) {
        return -1;
    }
    return put(text, "\n", 1);
}

static int
put_bucket(Text *text, PyObject *name, PyObject *labels, PyObject *edge, double count)
{
    Py_ssize_t size = PyBytes_GET_SIZE(labels);
    if (put_bytes(text, name) < 0 || put(text, "_bucket", 7) < 0) {
        return -1;
    }
    int failed = size > 0 ? put(text, PyBytes_AS_STRING(labels), size - 1) < 0 || put(text, ",", 1) < 0
                          : put(text, "{", 1) < 0;
    if (failed || put(text, "le=\"", 4) < 0 || put_bytes(text, edge) < 0 || put(text, "\"} ", 3) < 0
        || put_number(text, count) < 0) {
        return -1;
    }
    return put(text, "\n", 1);
}

static int
put_histogram(Text *text, PyObject *name, PyObject *edges, PyObject *slots, PyObject *labels, PyObject *end)
{
    Py_ssize_t buckets = PyTuple_GET_SIZE(edges);
    double count = 0.0;
    for (Py_ssize_t bucket = 0; bucket < buckets; bucket++) {
        double more = PyFloat_AsDouble(PyTuple_GET_ITEM(slots, bucket));
        if (more == -1.0 && PyErr_Occurred()) {
            return -1;
        }
        count = bucket > 0 ? count + more : more; /* else -0.0 would be 0.0 */
        if (put_bucket(text, name, labels, PyTuple_GET_ITEM(edges, bucket), count) < 0) {
            return -1;
        }
    }
    double sum = PyFloat_AsDouble(PyTuple_GET_ITEM(slots, buckets));
    if (sum == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    if (put_line(text, name, "_count", labels, count) < 0 || put_line(text, name, "_sum", labels, sum) < 0) {
        return -1;
    }
    return put_bytes(text, end);
}

static int
put_row(Text *text, PyObject *name, PyObject *edges, PyObject *row)
{
    PyObject *slots, *labels, *end;
    if (!PyTuple_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "a row is a tuple of slots, labels and end");
        return -1;
    }
    if (!PyArg_ParseTuple(row, "O!SS", &PyTuple_Type, &slots, &labels, &end)) {
        return -1;
    }
    if (PyTuple_GET_SIZE(slots) != PyTuple_GET_SIZE(edges) + 1) {
        PyErr_SetString(PyExc_ValueError, "slots are one for each edge, and the sum");
        return -1;
    }
    return put_histogram(text, name, edges, slots, labels, end);
}

PyObject *
rendering_histograms(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *name, *edges, *rows;
    if (!PyArg_ParseTuple(arguments, "SO!O!:histograms", &name, &PyTuple_Type, &edges, &PyList_Type, &rows)) {
        return NULL;
    }
    for (Py_ssize_t bucket = 0; bucket < PyTuple_GET_SIZE(edges); bucket++) {
        if (!PyBytes_Check(PyTuple_GET_ITEM(edges, bucket))) {
            PyErr_SetString(PyExc_TypeError, "edges are bytes");
            return NULL;
        }
    }
    Text text = {NULL, NULL, NULL};
    PyObject *made = NULL;
    Py_ssize_t index = 0;
    for (; index < PyList_GET_SIZE(rows); index++) {
        PyObject *row = Py_NewRef(PyList_GET_ITEM(rows, index)); /* a number of an odd class could empty the list */
        int failed = put_row(&text, name, edges, row);
        Py_DECREF(row);
        if (failed) {
            break;
        }
    }
    if (!PyErr_Occurred()) {
        made = PyBytes_FromStringAndSize(text.start, text.end - text.start);
    }
    PyMem_Free(text.start);
    return made;
}
