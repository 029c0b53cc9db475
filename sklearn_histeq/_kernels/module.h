/* A module of Python whose functions are the kernels of a folder.
 *
 * A function takes arrays, by the buffer protocol, and numbers, as its kernel does, and nothing by
 * keyword. It looks up the kernel for the type of its first array, runs it without the GIL in the
 * best variant that is allowed, and returns the kernel's number. Each array must be contiguous and
 * of the kernel's type; more is not checked.
 */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <utility>

#include "kernel.h"

namespace histeq {

namespace portable {
void list_kernels(KernelList &list);
}
namespace avx2 {
void list_kernels(KernelList &list);
}

InstructionSets *instruction_sets;

/* Arguments ---------------------------------------------------------------------------------- */

#ifdef HISTEQ_LITTLE_ENDIAN
constexpr char NATIVE_ORDER = '<';
#else
constexpr char NATIVE_ORDER = '>';
#endif

/* The type of an array's numbers, or 0 for one that kernels do not know. */
inline int type_of(const Py_buffer &array) {
    const char *const formats[] = {"BHILQ", "bhilq", "fd"};
    const int kinds[] = {0, OF_SIGNED, OF_REALS};
    /* NumPy names the byte order of some arrays, though it is the processor's own */
    const char *format = array.format;
    if (*format == NATIVE_ORDER || *format == '=' || *format == '@')
        ++format;
    for (int i = 0; i < 3 && format[0] && !format[1]; ++i)
        if (std::strchr(formats[i], format[0]))
            return static_cast<int>(array.itemsize) + kinds[i];
    return 0;
}

/* A call from Python; it holds the memory of its arrays. */
class Call {
  public:
    Call(const char *name, PyObject *const *arguments) : name(name), arguments(arguments) {}
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;
    ~Call() {
        for (int i = 0; i < n_arrays; ++i)
            PyBuffer_Release(&arrays[i]);
    }

    /* An array; without memory, and with an error in Python, where it is none or has another
     * type. */
    const Py_buffer &array(PyObject *object, int type, bool is_written) {
        if (n_arrays && object == arguments[0])
            return arrays[0]; /* is held, and of the type for which the kernel was chosen */
        if (!expect(n_arrays < MOST_ARRAYS, "fewer arrays"))
            return none;
        Py_buffer &found = arrays[n_arrays];
        const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (is_written ? PyBUF_WRITABLE : 0);
        if (has_failed || PyObject_GetBuffer(object, &found, flags) != 0) {
            has_failed = true;
            return none;
        }
        ++n_arrays;
        if (found.ndim < 1 || found.ndim > 3 || (type && type_of(found) != type))
            return refuse(found);
        return found;
    }

    /* Whether an argument is what is expected; where it is not, that is an error in Python. */
    bool expect(bool is_right, const char *expected) {
        if (!is_right && !has_failed)
            PyErr_Format(PyExc_TypeError, "%s() expected %s", name, expected);
        has_failed |= !is_right;
        return is_right;
    }

    /* Say that there is no kernel for an array. */
    const Py_buffer &refuse(const Py_buffer &array) {
        has_failed = true;
        PyErr_Format(PyExc_TypeError, "%s() has no kernel for an array of %d axes and format '%s'",
                     name, array.ndim, array.format);
        return none;
    }

    const char *name;
    PyObject *const *arguments;
    bool has_failed = false; /* there is an error in Python */

  private:
    static constexpr int MOST_ARRAYS = 20;
    Py_buffer none = {}, arrays[MOST_ARRAYS];
    int n_arrays = 0;
};

/* How an argument of Python becomes one of a kernel. */
template <class Type> struct Argument {
    static Type from(Call &call, PyObject *object) {
        static_assert(std::is_arithmetic_v<Type>);
        if constexpr (std::is_same_v<Type, double>)
            return check(call, PyFloat_AsDouble(object));
        else if constexpr (std::is_same_v<Type, bool>)
            return check(call, PyObject_IsTrue(object)) > 0;
        else
            return static_cast<Type>(check(call, PyNumber_AsSsize_t(object, PyExc_OverflowError)));
    }

  private:
    template <class Number> static Number check(Call &call, Number number) {
        call.has_failed |= number == static_cast<Number>(-1) && PyErr_Occurred();
        return number;
    }
};

template <class Number> struct Argument<Array<Number>> {
    static Array<Number> from(Call &call, PyObject *object) {
        if (object == Py_None)
            return {};
        const int type = TYPE<std::remove_const_t<Number>>;
        const Py_buffer &found = call.array(object, type, !std::is_const_v<Number>);
        Array<Number> array{static_cast<Number *>(found.buf), {1, 1, 1}};
        for (int axis = 0; axis < found.ndim; ++axis)
            array.shape[axis] = found.shape[axis];
        return array;
    }
};

/* An array of a type that kernels write. */
inline Values values_of(Call &call, PyObject *object, bool is_written) {
    const Py_buffer &found = call.array(object, 0, is_written);
    if (call.has_failed)
        return {};
    const int type = type_of(found);
    if (type != TYPE<uint8_t> && type != TYPE<uint16_t> && type != TYPE<float> &&
        type != TYPE<double>)
        call.refuse(found);
    const ptrdiff_t n_rows = found.ndim > 1 ? found.shape[0] : 1;
    return {{type, static_cast<char *>(found.buf)}, n_rows, found.shape[found.ndim - 1]};
}

template <> struct Argument<Output> {
    static Output from(Call &call, PyObject *object) { return values_of(call, object, true).first; }
};

template <> struct Argument<Values> {
    static Values from(Call &call, PyObject *object) { return values_of(call, object, false); }
};

template <> struct Argument<RowSlice> {
    static RowSlice from(Call &call, PyObject *object) {
        Py_ssize_t begin = 0, end = 0, step = 0;
        if (call.expect(PySlice_Check(object), "a slice"))
            call.has_failed |= PySlice_Unpack(object, &begin, &end, &step) != 0;
        if (!call.has_failed)
            call.expect(step == 1, "a slice without a step");
        return {begin, end};
    }
};

/* Functions ---------------------------------------------------------------------------------- */

template <class... Arguments>
int run_without_gil(Call &call, int (*kernel)(Arguments...), Arguments... arguments) {
    int result = DONE;
    if (call.has_failed)
        return result;
    Py_BEGIN_ALLOW_THREADS;
    result = kernel(arguments...);
    Py_END_ALLOW_THREADS;
    return result;
}

template <class... Arguments, std::size_t... I>
int run_with(Call &call, int (*kernel)(Arguments...), std::index_sequence<I...>) {
    return run_without_gil(call, kernel, Argument<Arguments>::from(call, call.arguments[I])...);
}

template <class... Arguments> int run(Function kernel, Call &call) {
    return run_with(call, reinterpret_cast<int (*)(Arguments...)>(kernel),
                    std::index_sequence_for<Arguments...>{});
}

/* Call the kernel for the type of the first argument; self has the first kernel of the name. */
inline PyObject *call_kernel(PyObject *self, PyObject *const *arguments, Py_ssize_t n) {
    const Kernel *kernel = static_cast<const Kernel *>(PyCapsule_GetPointer(self, nullptr));
    if (n != kernel->n_arguments)
        return PyErr_Format(PyExc_TypeError, "%s() takes %d arguments, but got %zd", kernel->name,
                            kernel->n_arguments, n);
    Call call(kernel->name, arguments);
    const Py_buffer &first = call.array(arguments[0], 0, false);
    if (call.has_failed)
        return nullptr;
    for (const int type = type_of(first); kernel->type != type; ++kernel)
        if (!kernel[1].name || std::strcmp(kernel[1].name, kernel->name) != 0) {
            call.refuse(first);
            return nullptr;
        }
    const int result = kernel->run(kernel->variants[runs_on(AVX2)], call);
    if (call.has_failed)
        return nullptr;
    if (result == NO_MEMORY)
        return PyErr_Format(PyExc_MemoryError, "the kernels have too little memory for their work "
                                               "on these images");
    if (result == NOT_WRITTEN)
        return PyErr_Format(PyExc_TypeError, "%s() writes no output of this type", kernel->name);
    return PyLong_FromLong(result);
}

/* The module --------------------------------------------------------------------------------- */

/* Add a function for each name in the list. */
inline int add_functions(PyObject *module, const KernelList &list) {
    static PyMethodDef definitions[KernelList::MOST];
    for (int i = 0; i < list.n; ++i) {
        const Kernel &kernel = list.kernels[i];
        if (i && std::strcmp(kernel.name, list.kernels[i - 1].name) == 0)
            continue;
        const auto function = reinterpret_cast<Function>(call_kernel);
        definitions[i] = {kernel.name, reinterpret_cast<PyCFunction>(function), METH_FASTCALL,
                          nullptr};
        PyObject *self = PyCapsule_New(const_cast<Kernel *>(&kernel), nullptr, nullptr);
        PyObject *added = self ? PyCFunction_NewEx(&definitions[i], self, nullptr) : nullptr;
        const int failed = PyModule_AddObjectRef(module, kernel.name, added);
        Py_XDECREF(self);
        Py_XDECREF(added);
        if (failed)
            return -1;
    }
    return 0;
}

inline int add_kernels(PyObject *module) {
    static KernelList list;
    list.n = 0, list.variant = PORTABLE;
    portable::list_kernels(list);
#ifdef HISTEQ_X86
    if (instruction_sets->best >= AVX2) {
        list.n = 0, list.variant = AVX2;
        avx2::list_kernels(list);
    }
#endif
    if (list.n > KernelList::MOST) {
        PyErr_Format(PyExc_SystemError, "a list of %d kernels has room for %d", list.n,
                     KernelList::MOST);
        return -1;
    }
    return add_functions(module, list);
}

constexpr char SHARED[] = "sklearn_histeq._kernels.shared", SETS[] = "_instruction_sets";

/* Take the instruction sets from the module that holds them. */
inline int share_instruction_sets(PyObject *) {
    PyObject *shared = PyImport_ImportModule(SHARED);
    PyObject *capsule = shared ? PyObject_GetAttrString(shared, SETS) : nullptr;
    if (capsule)
        instruction_sets = static_cast<InstructionSets *>(PyCapsule_GetPointer(capsule, SETS));
    Py_XDECREF(capsule);
    Py_XDECREF(shared);
    return PyErr_Occurred() ? -1 : 0;
}

} // namespace histeq

#ifdef Py_GIL_DISABLED
#define HISTEQ_SLOT_OF_GIL {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#else
#define HISTEQ_SLOT_OF_GIL
#endif

/* The module `name` with the kernels that this folder lists; prepare(module) goes before. */
#define HISTEQ_MODULE(name, prepare)                                                               \
    static PyModuleDef_Slot histeq_slots[] = {                                                     \
        {Py_mod_exec, reinterpret_cast<void *>(prepare)},                                          \
        {Py_mod_exec, reinterpret_cast<void *>(histeq::add_kernels)},                              \
        HISTEQ_SLOT_OF_GIL{0, nullptr}};                                                           \
    static PyModuleDef histeq_definition = {                                                       \
        PyModuleDef_HEAD_INIT, #name, nullptr, 0, nullptr, histeq_slots, nullptr, nullptr,         \
        nullptr};                                                                                  \
    PyMODINIT_FUNC PyInit_##name() { return PyModuleDef_Init(&histeq_definition); }
