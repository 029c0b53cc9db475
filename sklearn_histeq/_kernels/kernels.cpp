/* The module sklearn_histeq._kernels.shared: kernels that several methods share, and which
 * instruction set all kernels use. */
#include "module.h"

#include "kernels.h"
#include "processor.h"

namespace {

const char *const NAMES[] = {"portable", "AVX2", "AVX-512 VBMI"};

/* use_simd(allowed, at_most=2): choose the best instruction set of this processor up to a number,
 * or the portable loops; for the whole process. */
PyObject *use_simd(PyObject *, PyObject *const *arguments, Py_ssize_t n) {
    histeq::InstructionSets &sets = *histeq::instruction_sets;
    const int is_allowed = n ? PyObject_IsTrue(arguments[0]) : 0;
    const long at_most = n > 1 ? PyLong_AsLong(arguments[1]) : sets.best;
    if (PyErr_Occurred())
        return nullptr;
    sets.in_use = is_allowed ? histeq::least(sets.best, static_cast<int>(at_most)) : 0;
    return Py_NewRef(Py_None);
}

/* instruction_set(): the name of the one in use. */
PyObject *instruction_set(PyObject *, PyObject *) {
    return PyUnicode_FromString(NAMES[histeq::instruction_sets->in_use]);
}

PyMethodDef FUNCTIONS[] = {
    {"use_simd", reinterpret_cast<PyCFunction>(reinterpret_cast<histeq::Function>(use_simd)),
     METH_FASTCALL, nullptr},
    {"instruction_set", instruction_set, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

int prepare(PyObject *module) {
    static histeq::InstructionSets sets;
    histeq::instruction_sets = &sets;
    /* asked once: in a virtual machine each question takes microseconds */
    sets.best = histeq::best_instruction_set();
    PyObject *capsule = PyCapsule_New(&sets, histeq::SETS, nullptr);
    const bool failed = PyModule_AddObjectRef(module, histeq::SETS, capsule) != 0 ||
                        PyModule_AddFunctions(module, FUNCTIONS) != 0 ||
                        PyModule_AddIntConstant(module, "NAN", histeq::HAS_NAN) != 0 ||
                        PyModule_AddIntConstant(module, "INF", histeq::HAS_INF) != 0 ||
                        PyModule_AddIntConstant(module, "EMPTY", histeq::IS_EMPTY) != 0 ||
                        PyModule_AddIntConstant(module, "REFER", histeq::REFER) != 0 ||
                        PyModule_AddIntConstant(module, "TILE_LANES", histeq::TILE_LANES) != 0;
    Py_XDECREF(capsule);
    return failed ? -1 : 0;
}

} // namespace

HISTEQ_MODULE(shared, prepare)
