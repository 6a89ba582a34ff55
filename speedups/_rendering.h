/* What _rendering.c gives to the module. */

#include <Python.h>

PyObject *rendering_histograms(PyObject *module, PyObject *arguments);
