/* The request path of instrumentation/http/middleware.py in C: what `measuring` does there, at a third of its cost.

   Only usual requests are handled here. Everything else (websocket, lifespan, the page, a mounted app, a scope that is
   not a plain dict) is passed, unchanged, to the closure that Python's `measuring` returns for the same arguments. So
   none of that is implemented twice.

   Three types:

     Measured  what `measuring` returns, an ASGI app.
     Request   the state of one request. The `send` and `receive` of the app are builtins bound to it.
     Awaited   an awaitable: of the whole request, of its last message, or of a received message. It passes
               everything on to an inner coroutine, and calls a function when that has ended.

   References go one way: Awaited -> coroutine -> its frame -> send and receive -> Request -> Measured -> app. So a
   request that is dropped halfway is closed at once, as a coroutine would be.

   Functions return new references and borrow their arguments; a function that takes one over says "steals". Everything
   runs under the GIL, which also makes each addition to the buffer atomic. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "_rendering.h"

/* The same number as in instrumentation/speedups.py, and as the major version in pyproject.toml. Increase it if this
   module changes together with the parts of instrumentation that it uses. */
#define REVISION 5

/* ---- Functions of newer Python versions, under their names there ---- */

#if PY_VERSION_HEX < 0x030C0000
static PyObject *
PyErr_GetRaisedException(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

static void
PyErr_SetRaisedException(PyObject *value) /* steals */
{
    PyObject *type = value != NULL ? Py_NewRef(Py_TYPE(value)) : NULL;
    PyErr_Restore(type, value, value != NULL ? PyException_GetTraceback(value) : NULL);
}
#endif

#if PY_VERSION_HEX < 0x030D0000
static int
PyMapping_GetOptionalItem(PyObject *mapping, PyObject *key, PyObject **value)
{
    if (PyDict_CheckExact(mapping)) {
        *value = Py_XNewRef(PyDict_GetItemWithError(mapping, key));
        return *value != NULL ? 1 : PyErr_Occurred() ? -1 : 0;
    }
    *value = PyObject_GetItem(mapping, key);
    if (*value == NULL && PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Clear();
        return 0;
    }
    return *value != NULL ? 1 : -1;
}
#endif

/* ---- Strings, and objects of instrumentation.http.middleware: created once, kept forever ---- */

#define STRINGS(X)                                                                                                    \
    X(active, "active") X(begin, "begin") X(body, "http.response.body") X(buffer, "buffer") X(by_id, "by_id")         \
    X(bytes, "body") X(close, "close") X(closed, "closed") X(context, "effective_route_context")                      \
    X(could_not_count, "could_not_count") X(cr_frame, "cr_frame") X(disconnect, "http.disconnect")                    \
    X(disconnected, "disconnected") X(duration, "duration") X(durations, "durations") X(edges, "edges") X(empty, "")  \
    X(end, "end") X(endpoint, "endpoint") X(fastapi, "fastapi") X(first_byte, "first_byte")                           \
    X(has_table, "has_table") X(head, "HEAD") X(headers, "headers") X(heed, "heed") X(http, "http")                   \
    X(is_sized, "is_sized") X(method, "method") X(more_body, "more_body") X(more_trailers, "more_trailers")           \
    X(names_routes, "names_routes") X(original_route, "original_route") X(path, "path")                               \
    X(pathsend, "http.response.pathsend") X(root_path, "root_path") X(route, "route") X(seen, "sidelight")            \
    X(self, "__self__")                                                                                               \
    X(shard, "shard") X(shards, "shards") X(start, "http.response.start") X(status, "status")                         \
    X(template, "template") X(throw, "throw") X(trailers, "trailers") X(trailers_sent, "http.response.trailers")      \
    X(type, "type") X(value, "value") X(zerocopysend, "http.response.zerocopysend")
#define DECLARE(name, text) static PyObject *str_##name;
STRINGS(DECLARE)

#define KNOWN(X)                                                                                                      \
    X(ABORTED) X(CLIENT_CLOSED_REQUEST) X(METHODS) X(OTHER_METHOD) X(SERVER_ERROR) X(CancelledError) X(awaiting)      \
    X(local_path) X(measuring) X(promised_bytes) X(server_method) X(with_lasting_headers)
#define DECLARE_KNOWN(name) static PyObject *known_##name;
KNOWN(DECLARE_KNOWN)

/* ---- Helpers ---- */

static double
now(void) /* the clock of time.perf_counter */
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int
is(PyObject *object, PyObject *string)
{
    return PyUnicode_Check(object) && PyUnicode_Compare(object, string) == 0;
}

static PyObject *
get(PyObject *mapping, PyObject *key) /* NULL if it is missing or cannot be read; no exception is set */
{
    PyObject *value;
    if (PyMapping_GetOptionalItem(mapping, key, &value) < 0) {
        PyErr_Clear();
    }
    return value;
}

static int
is_true(PyObject *mapping, PyObject *key) /* bool(mapping.get(key)), or -1 */
{
    PyObject *value = get(mapping, key);
    int is_so = value != NULL ? PyObject_IsTrue(value) : 0;
    Py_XDECREF(value);
    return is_so;
}

static PyObject *
text_of(PyObject *number) /* str(int(number)) */
{
    PyObject *plain = PyNumber_Long(number);
    PyObject *text = plain != NULL ? PyObject_Str(plain) : NULL;
    Py_XDECREF(plain);
    return text;
}

/* buffer[place] += amount, or -1. The view is released at once, because a LocalStore cannot grow while one is held. */
static int
add(PyObject *buffer, Py_ssize_t place, double amount)
{
    Py_buffer view;
    if (PyObject_CheckBuffer(buffer) && PyObject_GetBuffer(buffer, &view, PyBUF_CONTIG | PyBUF_FORMAT) == 0) {
        int fits = view.format != NULL && strcmp(view.format, "d") == 0 && place >= 0
                   && place < view.len / (Py_ssize_t)sizeof(double);
        if (fits) {
            ((double *)view.buf)[place] += amount;
        }
        PyBuffer_Release(&view);
        if (fits) {
            return 0;
        }
    }
    PyErr_Clear(); /* access by item works, or raises */
    PyObject *key = PyLong_FromSsize_t(place), *step = PyFloat_FromDouble(amount);
    PyObject *old = key != NULL && step != NULL ? PyObject_GetItem(buffer, key) : NULL;
    PyObject *sum = old != NULL ? PyNumber_Add(old, step) : NULL;
    int failed = sum != NULL ? PyObject_SetItem(buffer, key, sum) : -1;
    Py_XDECREF(key);
    Py_XDECREF(step);
    Py_XDECREF(old);
    Py_XDECREF(sum);
    return failed;
}

/* ---- The types and their fields ---- */

/* Measured and Request have no tp_clear: like tuples, they refer only to objects that existed before them, so every
   cycle through one contains another object that can be cleared. A builtin bound to a Request always finds it complete. */

#define VISIT(name) Py_VISIT(self->name);
#define DROP(name) Py_XDECREF(self->name);

#define OF_MEASURED(X) X(app) X(python) X(recorder) X(routes) X(shards) X(by_id) X(excluded) X(direct) X(aside) X(streams) X(listeners)
typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *app, *python, *recorder, *routes, *shards, *by_id, *excluded, *direct, *aside, *streams, *listeners;
    double *edges;
    Py_ssize_t edges_count;
    char has_table;     /* the app has a table of routes */
    char names_routes;  /* streams.names_routes */
} Measured;

#define OF_REQUEST(X) X(measured) X(scope) X(receive) X(send) X(method) X(shard) X(buffer) X(status) X(stream) X(server)
typedef struct {
    PyObject_HEAD
    Measured *measured;
    PyObject *scope, *receive, *send;   /* as given by the server */
    PyObject *method, *shard, *buffer;  /* NULL until the request has begun */
    PyObject *status;                   /* as given by the app; 0 before */
    PyObject *stream;                   /* NULL if the response is not a stream */
    PyObject *server;                   /* None if it is not found; NULL until the request has begun */
    Py_ssize_t active;                  /* the place of the active requests */
    Py_ssize_t owed;                    /* as in the closure, but UNKNOWN instead of None */
    double began, ended;                /* ended is 0 until the last byte is sent */
    char may_hold;                      /* the server may hold the start of the response */
    char trailers, is_held, heeds_parts, is_last, gone, stands, has_failed;
} Request;

#define UNKNOWN -1

typedef int (*EndedFunction)(Request *, PyObject *result); /* the result is NULL if an exception is set */

typedef struct {
    PyObject_HEAD
    PyObject *inner;      /* a coroutine; NULL before a request has begun, and after the end */
    Request *request;
    EndedFunction ended;  /* NULL if the request is passed to Python's closure, or has not begun */
    enum { CREATED, SUSPENDED, RUNNING, ENDED } state;
} Awaited;

static PyTypeObject AwaitedType;

/* ---- The server, and whether it knows that its client has disconnected ---- */

static PyObject *
attribute(PyObject *object, PyObject *name) /* None without such an attribute; no exception is set */
{
    PyObject *value = PyObject_GetAttr(object, name);
    PyErr_Clear();
    return value != NULL ? value : Py_NewRef(Py_None);
}

static int
client_has_left(PyObject *server) /* or UNKNOWN */
{
    PyObject *has_left = attribute(server, str_disconnected);
    if (has_left == Py_None) {
        Py_SETREF(has_left, attribute(server, str_closed));
    }
    Py_DECREF(has_left);
    return has_left == Py_True ? 1 : has_left == Py_False ? 0 : UNKNOWN;
}

static int
request_finds_server(Request *self)
{
    if (PyMethod_Check(self->send) && client_has_left(PyMethod_GET_SELF(self->send)) != UNKNOWN) {
        self->server = Py_NewRef(PyMethod_GET_SELF(self->send));
        return 0;
    }
    PyObject *method = PyObject_CallFunctionObjArgs(known_server_method, self->send, self->receive, NULL);
    if (method == NULL) {
        return -1;
    }
    self->may_hold = PyCFunction_Check(method);
    self->server = attribute(method, str_self);
    Py_DECREF(method);
    return 0;
}

/* ---- A request begins ---- */

/* Whether it is a usual request and everything about it is known; if so, it is active from now on. If not, nothing has
   been changed. */
static int
request_begins(Request *self)
{
    Measured *measured = self->measured;
    PyObject *scope = self->scope;
    int has_root;
    if (!PyDict_CheckExact(scope) || PyDict_Contains(scope, str_seen) != 0
        || (has_root = is_true(scope, str_root_path)) < 0) {
        return 0;
    }
    PyObject *type = get(scope, str_type), *verb = get(scope, str_method);
    PyObject *path = has_root ? PyObject_CallOneArg(known_local_path, scope) : get(scope, str_path);
    PyObject *thread = PyLong_FromUnsignedLong(PyThread_get_thread_ident());
    PyObject *answer = NULL, *places = NULL, *place = NULL;
    int is_usual = 0;
    if (type == NULL || !is(type, str_http) || path == NULL || verb == NULL || thread == NULL
        || PyMapping_GetOptionalItem(measured->direct, path, &answer) != 0
        || PyMapping_GetOptionalItem(known_METHODS, verb, &self->method) < 0) {
        goto done;
    }
    if (measured->aside != Py_None) {
        answer = PyObject_CallFunctionObjArgs(measured->aside, verb, path, NULL);
        if (answer != Py_None) {
            goto done;
        }
    }
    if (self->method == NULL) {
        self->method = Py_NewRef(known_OTHER_METHOD);
    }
    self->shard = get(measured->shards, thread);
    if (self->shard == NULL) {
        self->shard = PyObject_CallMethodOneArg(measured->recorder, str_shard, thread);
    }
    if (self->shard == NULL || (self->buffer = PyObject_GetAttr(self->shard, str_buffer)) == NULL
        || (places = PyObject_GetAttr(self->shard, str_active)) == NULL) {
        goto done;
    }
    place = get(places, self->method);
    if (place == NULL) {
        place = PyObject_CallMethodObjArgs(measured->recorder, str_active, self->shard, self->method, NULL);
    }
    is_usual = place != NULL && (self->active = PyLong_AsSsize_t(place)) >= 0 && request_finds_server(self) == 0
               && PyDict_SetItem(scope, str_seen, self->server) == 0;
    if (is_usual && add(self->buffer, self->active, 1.0) < 0) {
        is_usual = 0;
        PyErr_Clear();
        PyDict_DelItem(scope, str_seen);
    }
done:
    Py_XDECREF(type);
    Py_XDECREF(path);
    Py_XDECREF(verb);
    Py_XDECREF(thread);
    Py_XDECREF(answer);
    Py_XDECREF(places);
    Py_XDECREF(place);
    return is_usual;
}

/* ---- Streams: rare enough to call Python ---- */

static PyObject *
stream_does(PyObject *stream, PyObject *name, PyObject *message, double at) /* the message may be NULL */
{
    PyObject *result = NULL, *time = PyFloat_FromDouble(at);
    if (time != NULL) {
        result = message != NULL ? PyObject_CallMethodObjArgs(stream, name, message, time, NULL)
                                 : PyObject_CallMethodObjArgs(stream, name, time, NULL);
        Py_DECREF(time);
    }
    return result;
}

static int
stream_begins(Request *self, PyObject *start)
{
    PyObject *begin = PyObject_GetAttr(self->measured->streams, str_begin);
    PyObject *positional = begin != NULL ? Py_BuildValue("OOd", self->scope, start, now()) : NULL;
    PyObject *named = positional != NULL ? PyDict_New() : NULL;
    PyObject *stream = NULL;
    if (named != NULL && PyDict_SetItem(named, str_is_sized, self->owed != UNKNOWN ? Py_True : Py_False) == 0) {
        stream = PyObject_Call(begin, positional, named);
    }
    Py_XDECREF(begin);
    Py_XDECREF(positional);
    Py_XDECREF(named);
    if (stream == NULL) {
        return -1;
    }
    if (stream == Py_None) {
        Py_DECREF(stream);
        return 0;
    }
    self->stream = stream;
    return 0;
}

static int
stream_heeds(Request *self, PyObject *message) /* whether it waits for another message */
{
    PyObject *heeds = self->stream != NULL ? stream_does(self->stream, str_heed, message, now()) : Py_NewRef(Py_False);
    int is_so = heeds != NULL ? PyObject_IsTrue(heeds) : -1;
    Py_XDECREF(heeds);
    return is_so;
}

static int
stream_ends(Request *self, double at)
{
    PyObject *ended = self->stream != NULL ? stream_does(self->stream, str_end, NULL, at) : Py_NewRef(Py_None);
    Py_XDECREF(ended);
    return ended != NULL ? 0 : -1;
}

/* ---- A request ends: its labels and its count ---- */

/* The template of the route that answered: the result of Routes.template, in the usual cases without the calls. */
static PyObject *
request_template(Request *self)
{
    Measured *measured = self->measured;
    PyObject *scope = self->scope, *template = NULL, *known = NULL, *key;
    PyObject *chosen = get(scope, str_route), *fastapi = get(scope, str_fastapi);
    PyObject *context = fastapi != NULL ? get(fastapi, str_context) : NULL;
    if (chosen == NULL && context == NULL && !measured->has_table && PyDict_Contains(scope, str_endpoint) == 0) {
        template = Py_NewRef(str_empty);
        goto done;
    }
    if (context != NULL && context != Py_None) {
        /* FastAPI's context knows the prefixes, if it belongs to the route */
        PyObject *original = PyObject_GetAttr(context, str_original_route);
        Py_XSETREF(chosen, original != NULL && original == chosen ? Py_NewRef(context) : NULL);
        Py_XDECREF(original);
        PyErr_Clear();
    }
    if (chosen != NULL && (key = PyLong_FromVoidPtr(chosen)) != NULL) {
        known = get(measured->by_id, key);
        Py_DECREF(key);
    }
    /* A Route is a named tuple of the object, the template and more. The id may belong to a deleted object. */
    if (known != NULL && PyTuple_Check(known) && PyTuple_GET_SIZE(known) > 1 && PyTuple_GET_ITEM(known, 0) == chosen) {
        template = Py_NewRef(PyTuple_GET_ITEM(known, 1));
    }
    else {
        template = PyObject_CallMethodOneArg(measured->routes, str_template, scope);
    }
done:
    Py_XDECREF(chosen);
    Py_XDECREF(fastapi);
    Py_XDECREF(context);
    Py_XDECREF(known);
    return template;
}

/* (method, template, status, error type) */
static PyObject *
request_key(Request *self, PyObject *route)
{
    PyObject *status = self->status, *error = NULL, *key = NULL;
    int is_so;
    if (self->gone && !self->stands) {
        status = known_CLIENT_CLOSED_REQUEST;
        error = Py_NewRef(str_empty);
    }
    else if (self->ended == 0.0 && (is_so = self->is_held ? 0 : PyObject_IsTrue(status)) <= 0) {
        status = known_SERVER_ERROR;
        error = is_so == 0 ? text_of(status) : NULL;
    }
    else if ((is_so = PyObject_RichCompareBool(status, known_SERVER_ERROR, Py_GE)) != 0) {
        error = is_so > 0 ? text_of(status) : NULL;
    }
    else {
        int is_whole = self->ended != 0.0 || (self->stream != NULL && (self->gone || !self->has_failed));
        error = Py_NewRef(is_whole ? str_empty : known_ABORTED);
    }
    if (error != NULL) {
        key = PyTuple_Pack(4, self->method, route, status, error);
        Py_DECREF(error);
    }
    return key;
}

/* The slot of the histogram of a key in the buffer, or -1. */
static Py_ssize_t
request_place(Request *self, PyObject *key)
{
    PyObject *durations = PyObject_GetAttr(self->shard, str_durations), *place = NULL;
    if (durations != NULL && PyMapping_GetOptionalItem(durations, key, &place) == 0) {
        place = PyObject_CallMethodObjArgs(self->measured->recorder, str_duration, self->shard, key, NULL);
    }
    Py_ssize_t index = place != NULL ? PyLong_AsSsize_t(place) : -1;
    Py_XDECREF(durations);
    Py_XDECREF(place);
    return index;
}

static int
request_is_heard(Request *self, PyObject *key, double seconds) /* set by the listeners */
{
    PyObject *listeners = self->measured->listeners;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(listeners); i++) {
        PyObject *heard = PyObject_CallFunction(
            PyTuple_GET_ITEM(listeners, i), "OOd", self->scope, key, seconds);
        if (heard == NULL) {
            return -1;
        }
        Py_DECREF(heard);
    }
    return 0;
}

/* The seconds of a request; for an ended stream, the seconds until its first byte. Negative if it raises. */
static double
request_latency(Request *self, double seconds)
{
    if (self->stream == NULL) {
        return seconds;
    }
    PyObject *first = stream_ends(self, self->began + seconds) == 0
                          ? PyObject_GetAttr(self->stream, str_first_byte) : NULL;
    double at = first != NULL ? PyFloat_AsDouble(first) : -1.0;
    Py_XDECREF(first);
    return PyErr_Occurred() ? -1.0 : at - self->began;
}

static int
request_counts(Request *self, double seconds)
{
    Measured *measured = self->measured;
    double latency = request_latency(self, seconds);
    if (latency < 0.0 && PyErr_Occurred()) {
        return -1;
    }
    PyObject *key = NULL, *route = request_template(self);
    int failed = -1, is_excluded = route != NULL ? PySequence_Contains(measured->excluded, route) : -1;
    if (is_excluded > 0) {
        failed = 0;
    }
    else if (is_excluded == 0 && (key = request_key(self, route)) != NULL) {
        Py_ssize_t place = request_place(self, key), bucket = 0, count = measured->edges_count;
        while (bucket < count && measured->edges[bucket] < latency) {
            bucket++;
        }
        if (!PyErr_Occurred() && add(self->buffer, place + bucket, 1.0) == 0
            && add(self->buffer, place + count + 1, latency) == 0) {
            failed = request_is_heard(self, key, seconds);
        }
    }
    Py_XDECREF(route);
    Py_XDECREF(key);
    return failed;
}

/* An error in Sidelight must not affect the service: it is logged once. Other exceptions than Exception, such as
   KeyboardInterrupt, are raised. */
static int
request_forgives(Request *self)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyObject *fault = PyErr_GetRaisedException();
    PyObject *logged = PyObject_CallMethodOneArg(self->measured->recorder, str_could_not_count, fault);
    Py_DECREF(fault);
    Py_XDECREF(logged);
    return logged != NULL ? 0 : -1;
}

/* ---- Functions that are called at the end ---- */

/* The whole response is sent: the request is not active any more, whatever the app does afterwards. */
static int
request_is_answered(Request *self)
{
    self->ended = now();
    return stream_ends(self, self->ended) < 0 || add(self->buffer, self->active, -1.0) < 0 ? request_forgives(self) : 0;
}

static int
request_ended(Request *self, PyObject *result)
{
    double seconds = (self->ended != 0.0 ? self->ended : now()) - self->began;
    PyObject *raised = NULL, *handled = NULL;
    int is_cancelled = result == NULL && PyErr_ExceptionMatches(known_CancelledError);
    if (result == NULL) {
        self->has_failed = PyErr_ExceptionMatches(PyExc_Exception) != 0;
        /* Counting works like a finally clause: listeners can see the exception that is being handled. */
        raised = PyErr_GetRaisedException();
        handled = PyErr_GetHandledException();
        PyErr_SetHandledException(raised);
    }
    if (self->ended == 0.0) {
        int has_left = client_has_left(self->server);
        self->gone = self->gone || has_left == 1 || (is_cancelled && has_left != 0);
    }
    int failed = ((self->ended == 0.0 && add(self->buffer, self->active, -1.0) < 0)
                  || request_counts(self, seconds) < 0)
                 && request_forgives(self) < 0;
    if (raised != NULL) {
        PyErr_SetHandledException(handled);
        Py_XDECREF(handled);
        if (!failed) {
            PyErr_SetRaisedException(raised);
            return 0;
        }
        Py_DECREF(raised);
    }
    return failed ? -1 : 0;
}

static int
last_message_ended(Request *self, PyObject *result)
{
    if (result != NULL) {
        return self->ended != 0.0 ? 0 : request_is_answered(self);
    }
    if (PyErr_ExceptionMatches(PyExc_Exception)) {
        self->is_last = 0; /* the server refused it */
    }
    return 0;
}

static int
receive_ended(Request *self, PyObject *message)
{
    if (message == NULL) {
        return 0;
    }
    PyObject *kind = PyObject_GetItem(message, str_type);
    if (kind == NULL) {
        return request_forgives(self); /* the app refuses a message without a type */
    }
    int failed = 0;
    if (is(kind, str_disconnect) && self->ended == 0.0) {
        PyObject *disconnected = attribute(self->server, str_disconnected);
        if (self->is_last && disconnected != Py_True) { /* the response is sent: see the closure */
            failed = request_is_answered(self);
        }
        else {
            self->gone = 1;
        }
        Py_DECREF(disconnected);
    }
    Py_DECREF(kind);
    return failed;
}

/* ---- Awaited: behaves like a coroutine ---- */

/* Steals the object to await, or NULL. Any object but a coroutine is wrapped in one. */
static PyObject *
coroutine_of(PyObject *awaitable)
{
    if (awaitable == NULL || PyCoro_CheckExact(awaitable)) {
        return awaitable;
    }
    PyObject *coroutine = PyObject_CallOneArg(known_awaiting, awaitable);
    Py_DECREF(awaitable);
    return coroutine;
}

static PyObject *
awaited_new(Request *request, PyObject *inner, EndedFunction ended) /* steals inner */
{
    Awaited *self = PyObject_GC_New(Awaited, &AwaitedType);
    if (self == NULL) {
        Py_XDECREF(inner);
        return NULL;
    }
    self->inner = inner;
    self->request = (Request *)Py_NewRef(request);
    self->ended = ended;
    self->state = CREATED;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static int
awaited_may_run(Awaited *self)
{
    if (self->state == RUNNING) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return 0;
    }
    if (self->state == ENDED) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return 0;
    }
    return 1;
}

static PyObject *request_sends(PyObject *, PyObject *);
static PyObject *request_receives(PyObject *, PyObject *);
static PyMethodDef send_method = {"send", request_sends, METH_O, NULL};
static PyMethodDef receive_method = {"receive", request_receives, METH_NOARGS, NULL};

/* Call the app, or Python's closure. */
static int
awaited_begin(Awaited *self, int is_usual)
{
    Request *request = self->request;
    PyObject *given[] = {request->scope, request->receive, request->send};
    if (!is_usual) {
        PyErr_Clear(); /* the closure finds it again */
        self->inner = coroutine_of(PyObject_Vectorcall(request->measured->python, given, 3, NULL));
        return self->inner != NULL ? 0 : -1;
    }
    self->ended = request_ended;
    given[1] = PyCFunction_New(&receive_method, (PyObject *)request);
    given[2] = PyCFunction_New(&send_method, (PyObject *)request);
    request->began = now();
    if (given[1] != NULL && given[2] != NULL) {
        self->inner = coroutine_of(PyObject_Vectorcall(request->measured->app, given, 3, NULL));
    }
    Py_XDECREF(given[1]);
    Py_XDECREF(given[2]);
    return self->inner != NULL ? 0 : -1;
}

/* The inner coroutine has ended: with a result, or with NULL and an exception. */
static PySendResult
awaited_over(Awaited *self, PyObject **result)
{
    self->state = ENDED;
    Py_CLEAR(self->inner);
    if (self->ended != NULL && self->ended(self->request, *result) < 0) {
        Py_CLEAR(*result);
    }
    return *result != NULL ? PYGEN_RETURN : PYGEN_ERROR;
}

static PySendResult
awaited_send(Awaited *self, PyObject *value, PyObject **result)
{
    *result = NULL;
    if (!awaited_may_run(self)) {
        return PYGEN_ERROR;
    }
    self->state = RUNNING;
    if ((self->inner == NULL && awaited_begin(self, request_begins(self->request)) < 0)
        || PyIter_Send(self->inner, value, result) != PYGEN_NEXT) {
        return awaited_over(self, result);
    }
    self->state = SUSPENDED;
    return PYGEN_NEXT;
}

/* Steals the result. The methods of a coroutine raise its return value as StopIteration. */
static PyObject *
as_method(PySendResult sent, PyObject *result)
{
    if (sent == PYGEN_RETURN) {
        /* an instance, because a plain tuple would become the arguments of the exception */
        PyObject *stop = result != Py_None ? PyObject_CallOneArg(PyExc_StopIteration, result)
                                           : PyObject_CallNoArgs(PyExc_StopIteration);
        Py_CLEAR(result);
        PyErr_SetRaisedException(stop != NULL ? stop : PyErr_GetRaisedException());
    }
    return result;
}

static PyObject *
awaited_send_method(Awaited *self, PyObject *value)
{
    PyObject *result;
    PySendResult sent = awaited_send(self, value, &result);
    return as_method(sent, result);
}

static PyObject *
awaited_next(Awaited *self)
{
    return awaited_send_method(self, Py_None);
}

static PyObject *
awaited_throw(Awaited *self, PyObject *args)
{
    if (!awaited_may_run(self)) {
        return NULL;
    }
    self->state = RUNNING;
    PyObject *result = NULL, *throw = NULL;
    /* A request that never began is not counted; the closure's coroutine, which has not begun either, raises the error. */
    if ((self->inner != NULL || awaited_begin(self, 0) == 0)
        && (throw = PyObject_GetAttr(self->inner, str_throw)) != NULL) {
        result = PyObject_Call(throw, args, NULL);
        Py_DECREF(throw);
    }
    if (result != NULL) {
        self->state = SUSPENDED;
        return result;
    }
    if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
        PyObject *stop = PyErr_GetRaisedException();
        result = PyObject_GetAttr(stop, str_value);
        Py_DECREF(stop);
    }
    PySendResult sent = awaited_over(self, &result);
    return as_method(sent, result);
}

static PyObject *
awaited_close(Awaited *self, PyObject *Py_UNUSED(nothing))
{
    if (self->state == ENDED || (self->state == CREATED && self->inner == NULL)) {
        self->state = ENDED;
        Py_RETURN_NONE;
    }
    if (!awaited_may_run(self)) {
        return NULL;
    }
    self->state = RUNNING;
    PyObject *result = NULL, *closed = PyObject_CallMethodNoArgs(self->inner, str_close);
    if (closed != NULL) { /* as in a coroutine: the awaited object is closed first, then the await raises */
        Py_DECREF(closed);
        PyErr_SetNone(PyExc_GeneratorExit);
    }
    awaited_over(self, &result);
    if (!PyErr_ExceptionMatches(PyExc_GeneratorExit)) {
        return NULL;
    }
    PyErr_Clear();
    Py_RETURN_NONE;
}

/* Dropped before its end. The inner coroutine has its own finalizer; only a request needs more. */
static void
awaited_finalize(Awaited *self)
{
    if (self->state == ENDED) {
        return;
    }
    PyObject *raised = PyErr_GetRaisedException();
    if (self->inner == NULL) {
        if (PyErr_WarnEx(PyExc_RuntimeWarning, "coroutine 'sidelight' was never awaited", 1) < 0) {
            PyErr_WriteUnraisable((PyObject *)self);
        }
    }
    else if (self->ended == request_ended) {
        PyObject *closed = awaited_close(self, NULL);
        if (closed == NULL) {
            PyErr_WriteUnraisable((PyObject *)self);
        }
        Py_XDECREF(closed);
    }
    PyErr_SetRaisedException(raised);
}

static int
awaited_traverse(Awaited *self, visitproc visit, void *arg)
{
    Py_VISIT(self->inner);
    Py_VISIT(self->request);
    return 0;
}

static int
awaited_clear(Awaited *self)
{
    self->state = ENDED;
    Py_CLEAR(self->inner);
    Py_CLEAR(self->request);
    return 0;
}

static void
awaited_dealloc(Awaited *self)
{
    if (self->state != ENDED && PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
        return; /* it was resurrected */
    }
    PyObject_GC_UnTrack(self);
    awaited_clear(self);
    PyObject_GC_Del(self);
}

/* Read by inspect.getcoroutinestate, and so by anyio, of every object that they start as a task; by trio too. */

static PyObject *
awaited_is_in_state(Awaited *self, void *state)
{
    return PyBool_FromLong(self->state == (state != NULL ? RUNNING : SUSPENDED));
}

static PyObject *
awaited_frame(Awaited *self, void *Py_UNUSED(closure))
{
    return self->inner != NULL ? PyObject_GetAttr(self->inner, str_cr_frame) : Py_NewRef(Py_None);
}

static PyObject *
awaited_inner(Awaited *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->inner != NULL ? self->inner : Py_None);
}

static PyGetSetDef awaited_attributes[] = {
    {"cr_running", (getter)awaited_is_in_state, NULL, NULL, "running"},
    {"cr_suspended", (getter)awaited_is_in_state, NULL, NULL, NULL},
    {"cr_frame", (getter)awaited_frame, NULL, NULL, NULL},
    {"cr_await", (getter)awaited_inner, NULL, NULL, NULL},
    {0},
};

static PyMethodDef awaited_methods[] = {
    {"send", (PyCFunction)awaited_send_method, METH_O, NULL},
    {"throw", (PyCFunction)awaited_throw, METH_VARARGS, NULL},
    {"close", (PyCFunction)awaited_close, METH_NOARGS, NULL},
    {0},
};

static PyAsyncMethods awaited_async = {
    .am_await = PyObject_SelfIter,
    .am_send = (sendfunc)awaited_send,
};

static PyTypeObject AwaitedType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_sidelight_speedups.Awaited",
    .tp_basicsize = sizeof(Awaited),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_traverse = (traverseproc)awaited_traverse,
    .tp_clear = (inquiry)awaited_clear,
    .tp_finalize = (destructor)awaited_finalize,
    .tp_dealloc = (destructor)awaited_dealloc,
    .tp_as_async = &awaited_async,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)awaited_next,
    .tp_methods = awaited_methods,
    .tp_getset = awaited_attributes,
};

/* ---- Request: the app's send and receive ---- */

/* The result of promised_bytes, for usual headers without the call; UNKNOWN for None, and less if it raises. */
static Py_ssize_t
promised_bytes(Request *self, PyObject *headers)
{
    static const char content_length[] = "content-length";
    const Py_ssize_t size = sizeof(content_length) - 1;
    int overflow = 0;
    long status = PyLong_Check(self->status) ? PyLong_AsLongAndOverflow(self->status, &overflow) : 0;
    if (status == 0 || overflow != 0 || headers == NULL || headers == Py_None) {
        goto unusual;
    }
    if (is(self->method, str_head) || status == 204 || status == 304) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(headers); i++) {
        PyObject *header = PySequence_Fast_GET_ITEM(headers, i);
        if (!PyTuple_Check(header) && !PyList_Check(header)) {
            goto unusual;
        }
        PyObject **pair = PySequence_Fast_ITEMS(header);
        if (PySequence_Fast_GET_SIZE(header) != 2 || !PyBytes_CheckExact(pair[0]) || !PyBytes_CheckExact(pair[1])) {
            goto unusual;
        }
        if (PyBytes_GET_SIZE(pair[0]) != size || strncasecmp(PyBytes_AS_STRING(pair[0]), content_length, size) != 0) {
            continue;
        }
        Py_ssize_t length = 0, digits = PyBytes_GET_SIZE(pair[1]);
        const char *text = PyBytes_AS_STRING(pair[1]);
        if (digits == 0 || digits > 18) {
            goto unusual;
        }
        for (Py_ssize_t digit = 0; digit < digits; digit++) {
            if (!Py_ISDIGIT(text[digit])) {
                return UNKNOWN;
            }
            length = 10 * length + (text[digit] - '0');
        }
        return length;
    }
    return UNKNOWN;
unusual:;
    PyObject *said = PyObject_CallFunctionObjArgs(
        known_promised_bytes, self->method, self->status, headers != NULL ? headers : Py_None, NULL);
    Py_ssize_t length = said == NULL ? UNKNOWN - 1 : said == Py_None ? UNKNOWN : PyLong_AsSsize_t(said);
    if (said != NULL && PyErr_Occurred()) { /* more than any response can have */
        PyErr_Clear();
        length = PY_SSIZE_T_MAX;
    }
    Py_XDECREF(said);
    return length;
}

/* A start of the response. It may be replaced by one whose headers can be read twice. */
static int
request_starts(Request *self, PyObject **message)
{
    PyObject *status = PyObject_GetItem(*message, str_status);
    if (status == NULL) {
        return -1;
    }
    Py_SETREF(self->status, status);
    int is_so = is_true(*message, str_trailers);
    if (is_so < 0) {
        return -1;
    }
    self->trailers = (char)is_so;
    PyObject *headers = get(*message, str_headers);
    if (headers != NULL && headers != Py_None && !PyList_Check(headers) && !PyTuple_Check(headers)) {
        PyObject *lasting = PyObject_CallOneArg(known_with_lasting_headers, *message);
        Py_DECREF(headers);
        if (lasting == NULL) {
            return -1;
        }
        Py_SETREF(*message, lasting);
        headers = get(lasting, str_headers);
    }
    self->owed = self->trailers ? UNKNOWN : promised_bytes(self, headers);
    Py_XDECREF(headers);
    if (self->owed < UNKNOWN) {
        self->owed = UNKNOWN;
        return -1;
    }
    self->is_held = self->may_hold;
    self->is_last = self->owed == 0 && !self->is_held;
    is_so = PyObject_RichCompareBool(status, known_SERVER_ERROR, Py_GE);
    if (is_so < 0) {
        return -1;
    }
    if (is_so || self->owed == UNKNOWN || self->measured->names_routes) {
        self->gone = self->gone || client_has_left(self->server) == 1;
        int may_stream = self->measured->streams != Py_None && self->stream == NULL && self->owed != 0 && !self->gone;
        if (may_stream && stream_begins(self, *message) < 0) {
            return -1;
        }
        self->stands = (is_so || self->stream != NULL) && !self->gone && !self->is_held;
    }
    self->heeds_parts = self->is_held || self->owed != UNKNOWN || self->stream != NULL;
    return 0;
}

/* A message with a part of the body, but not the last one. */
static int
request_heeds(Request *self, PyObject *message)
{
    if (self->is_held) {
        self->is_held = 0;
        int is_so = PyObject_RichCompareBool(self->status, known_SERVER_ERROR, Py_GE);
        if (is_so < 0) {
            return -1;
        }
        self->stands = (is_so || self->stream != NULL) && !self->gone;
    }
    int is_so = stream_heeds(self, message);
    if (is_so < 0) {
        return -1;
    }
    if (self->owed == UNKNOWN) {
        self->heeds_parts = (char)is_so;
        return 0;
    }
    PyObject *part = get(message, str_bytes);
    is_so = part != NULL ? PyObject_IsTrue(part) : 0;
    if (is_so > 0) {
        Py_buffer view;
        is_so = PyObject_GetBuffer(part, &view, PyBUF_FULL_RO);
        if (is_so == 0) {
            self->owed = view.len < self->owed ? self->owed - view.len : 0;
            PyBuffer_Release(&view);
        }
    }
    Py_XDECREF(part);
    self->is_last = is_so >= 0 && self->owed == 0;
    return is_so;
}

/* Records the contents of a message. */
static int
request_sees(Request *self, PyObject *kind, PyObject **message)
{
    int is_so = 1;
    if (is(kind, str_body)) {
        if ((is_so = is_true(*message, str_more_body)) == 0 && !self->trailers) {
            self->is_last = 1;
            is_so = stream_heeds(self, *message);
        }
        else if (is_so >= 0 && self->heeds_parts) {
            is_so = request_heeds(self, *message);
        }
    }
    else if (is(kind, str_start)) {
        is_so = request_starts(self, message);
    }
    else if (is(kind, str_trailers_sent)) {
        is_so = is_true(*message, str_more_trailers);
        self->is_last = is_so == 0;
    }
    else if (is(kind, str_pathsend)) {
        self->is_last = !self->trailers;
    }
    else if (is(kind, str_zerocopysend)) {
        is_so = is_true(*message, str_more_body);
        self->is_last = is_so == 0 && !self->trailers;
    }
    return is_so < 0 ? -1 : 0;
}

static PyObject *
request_sends(PyObject *bound, PyObject *given)
{
    Request *self = (Request *)bound;
    if (self->is_last) { /* messages after a complete response change nothing */
        return PyObject_CallOneArg(self->send, given);
    }
    PyObject *message = Py_NewRef(given), *sending = NULL, *kind = PyObject_GetItem(message, str_type);
    /* the server refuses a message without a type */
    if ((kind != NULL && request_sees(self, kind, &message) == 0) || request_forgives(self) == 0) {
        int is_last = self->is_last;
        if (is_last) {
            self->gone = self->gone || client_has_left(self->server) == 1;
        }
        sending = PyObject_CallOneArg(self->send, message);
        if (is_last) {
            sending = coroutine_of(sending);
            self->is_last = sending != NULL;
            sending = sending != NULL ? awaited_new(self, sending, last_message_ended) : NULL;
        }
    }
    Py_XDECREF(kind);
    Py_DECREF(message);
    return sending;
}

static PyObject *
request_receives(PyObject *bound, PyObject *Py_UNUSED(nothing))
{
    Request *self = (Request *)bound;
    PyObject *receiving = coroutine_of(PyObject_CallNoArgs(self->receive));
    return receiving != NULL ? awaited_new(self, receiving, receive_ended) : NULL;
}

static int
request_traverse(Request *self, visitproc visit, void *arg)
{
    OF_REQUEST(VISIT)
    return 0;
}

static void
request_dealloc(Request *self)
{
    PyObject_GC_UnTrack(self);
    OF_REQUEST(DROP)
    PyObject_GC_Del(self);
}

static PyTypeObject RequestType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_sidelight_speedups.Request",
    .tp_basicsize = sizeof(Request),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_traverse = (traverseproc)request_traverse,
    .tp_dealloc = (destructor)request_dealloc,
};

/* ---- Measured ---- */

static PyObject *
measured_call(Measured *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    if (PyVectorcall_NARGS(nargsf) != 3 || names != NULL) {
        return PyObject_Vectorcall(self->python, args, nargsf, names);
    }
    Request *request = PyObject_GC_New(Request, &RequestType);
    if (request == NULL) {
        return NULL;
    }
    request->measured = (Measured *)Py_NewRef(self);
    request->scope = Py_NewRef(args[0]);
    request->receive = Py_NewRef(args[1]);
    request->send = Py_NewRef(args[2]);
    request->method = request->shard = request->buffer = request->stream = request->server = NULL;
    request->status = PyLong_FromLong(0); /* a small integer, which Python caches */
    request->owed = UNKNOWN;
    request->began = request->ended = 0.0;
    request->may_hold = request->trailers = request->is_held = request->heeds_parts = 0;
    request->is_last = request->gone = request->stands = request->has_failed = 0;
    PyObject_GC_Track(request);
    PyObject *whole = awaited_new(request, NULL, NULL);
    Py_DECREF(request);
    return whole;
}

static int
measured_traverse(Measured *self, visitproc visit, void *arg)
{
    OF_MEASURED(VISIT)
    return 0;
}

static void
measured_dealloc(Measured *self)
{
    PyObject_GC_UnTrack(self);
    OF_MEASURED(DROP)
    PyMem_Free(self->edges);
    PyObject_GC_Del(self);
}

static PyObject *
measured_app(Measured *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->app);
}

static PyGetSetDef measured_attributes[] = {
    {"app", (getter)measured_app, NULL, "The app within; frameworks look through a stack by this name.", NULL},
    {0},
};

static PyTypeObject MeasuredType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_sidelight_speedups.Measured",
    .tp_basicsize = sizeof(Measured),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL
                | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_traverse = (traverseproc)measured_traverse,
    .tp_dealloc = (destructor)measured_dealloc,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(Measured, call),
    .tp_getset = measured_attributes,
};

/* ---- The module ---- */

static int
learn(void) /* on first use, because instrumentation.http may be importing this module */
{
    PyObject *module = PyImport_ImportModule("instrumentation.http.middleware");
    if (module == NULL) {
        return -1;
    }
#define LEARN(name)                                                                                                   \
    if (known_##name == NULL && (known_##name = PyObject_GetAttrString(module, #name)) == NULL) {                     \
        Py_DECREF(module);                                                                                            \
        return -1;                                                                                                    \
    }
    KNOWN(LEARN)
    Py_DECREF(module);
    return 0;
}

static int
measured_knows(Measured *self) /* values that can be read in advance */
{
    PyObject *has_table = PyObject_GetAttr(self->routes, str_has_table);
    PyObject *edges = PyObject_GetAttr(self->recorder, str_edges);
    PyObject *names_routes = self->streams != Py_None ? PyObject_GetAttr(self->streams, str_names_routes) : NULL;
    self->names_routes = names_routes != NULL && PyObject_IsTrue(names_routes) > 0;
    Py_XDECREF(names_routes);
    if (has_table != NULL && edges != NULL && PyTuple_Check(edges)) {
        self->has_table = PyObject_IsTrue(has_table) != 0;
        self->edges_count = PyTuple_GET_SIZE(edges);
        if ((self->edges = PyMem_New(double, self->edges_count)) == NULL) {
            PyErr_NoMemory();
        }
        for (Py_ssize_t i = 0; self->edges != NULL && i < self->edges_count; i++) {
            self->edges[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(edges, i));
        }
    }
    Py_XDECREF(has_table);
    Py_XDECREF(edges);
    if (self->edges == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "recorder.edges must be a tuple of numbers");
    }
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *
measuring(PyObject *Py_UNUSED(module), PyObject *args, PyObject *names)
{
    static char *keywords[] = {
        "app", "recorder", "routes", "excluded", "direct", "other", "aside", "streams", "active_by_route", "labels", "exemplars",
        "listeners", NULL};
    PyObject *app, *recorder, *routes, *excluded, *direct, *other, *aside = Py_None, *streams = Py_None;
    PyObject *labels = Py_None, *exemplars = Py_None, *listeners = NULL;
    int active_by_route = 0;
    if (learn() < 0) {
        return NULL;
    }
    PyObject *python = PyObject_Call(known_measuring, args, names); /* its error names the missing or superfluous argument */
    if (python == NULL
        || !PyArg_ParseTupleAndKeywords(args, names, "O|$OOOOOOOpOOO", keywords, &app, &recorder, &routes, &excluded,
                                        &direct, &other, &aside, &streams, &active_by_route, &labels,
                                        &exemplars, &listeners)) {
        Py_XDECREF(python);
        return NULL;
    }
    /* Labels and the span of each request, or its route in advance, would cost more than this module saves. */
    if (labels != Py_None || exemplars != Py_None || active_by_route) {
        return python;
    }
    Measured *self = PyObject_GC_New(Measured, &MeasuredType);
    if (self == NULL) {
        Py_DECREF(python);
        return NULL;
    }
    self->call = (vectorcallfunc)measured_call;
    self->app = Py_NewRef(app);
    self->python = python;
    self->recorder = Py_NewRef(recorder);
    self->routes = Py_NewRef(routes);
    self->shards = PyObject_GetAttr(recorder, str_shards);
    self->by_id = PyObject_GetAttr(routes, str_by_id);
    self->excluded = Py_NewRef(excluded);
    self->direct = Py_NewRef(direct);
    self->aside = Py_NewRef(aside);
    self->streams = Py_NewRef(streams);
    self->listeners = listeners != NULL ? PySequence_Tuple(listeners) : PyTuple_New(0);
    self->edges = NULL;
    PyObject_GC_Track(self);
    if (self->shards == NULL || self->by_id == NULL || self->listeners == NULL || measured_knows(self) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int
execute(PyObject *module)
{
#define INTERN(name, text)                                                                                            \
    if (str_##name == NULL && (str_##name = PyUnicode_InternFromString(text)) == NULL) {                              \
        return -1;                                                                                                    \
    }
    STRINGS(INTERN)
    if (PyType_Ready(&AwaitedType) < 0 || PyType_Ready(&RequestType) < 0 || PyType_Ready(&MeasuredType) < 0) {
        return -1;
    }
    return PyModule_AddIntMacro(module, REVISION);
}

static PyMethodDef functions[] = {
    {"measuring", (PyCFunction)(void (*)(void))measuring, METH_VARARGS | METH_KEYWORDS,
     "An ASGI app that counts what goes through it; see instrumentation.http.middleware.measuring."},
    {"histograms", rendering_histograms, METH_VARARGS,
     "The text of histograms of the same edges; see instrumentation.exposition."},
    {0},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_sidelight_speedups",
    .m_doc = "The request path and the page of sidelight, compiled.",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__sidelight_speedups(void)
{
    return PyModuleDef_Init(&definition);
}
