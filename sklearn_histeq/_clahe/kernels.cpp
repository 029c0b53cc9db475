/* The module sklearn_histeq._clahe.kernels: the kernels of CLAHE. */
#include "../_kernels/module.h"

#include "tiles.h"

namespace histeq {

/* The numbers that a tuple has at place i. */
template <class Number>
Array<const Number> item(Call &call, PyObject *tuple, Py_ssize_t i) {
    PyObject *array = call.has_failed ? nullptr : PyTuple_GetItem(tuple, i);
    call.has_failed |= !array;
    if (call.has_failed)
        return {};
    return Argument<Array<const Number>>::from(call, array);
}

/* Tiles are a tuple of arrays: the shape (3,) of the planes, and for layers, rows and columns the
 * starts (n + 1,) of tiles and their pixels (starts[n],) or None. */
template <> struct Argument<Tiles> {
    static Tiles from(Call &call, PyObject *tuple) {
        if (!call.expect(PyTuple_Check(tuple), "a tuple of tiles"))
            return {};
        const auto shape = item<int32_t>(call, tuple, 0);
        const TiledAxis layers = axis(call, tuple, 1), rows = axis(call, tuple, 3);
        const TiledAxis columns = axis(call, tuple, 5);
        if (call.has_failed)
            return {};
        return {layers, rows, columns, shape[1], shape[2]};
    }

  private:
    static TiledAxis axis(Call &call, PyObject *tuple, Py_ssize_t i) {
        const auto starts = item<int32_t>(call, tuple, i), pixels = item<int32_t>(call, tuple, i + 1);
        TiledAxis found{starts.start, pixels.start, starts.shape[0] - 1, true};
        for (ptrdiff_t k = 1; !call.has_failed && k < found.n; ++k)
            found.is_even &= found.length(k) == found.length(0);
        return found;
    }
};

/* Centers are a tuple of arrays: between (2, depth), fz (depth,); between (2, height), fy (height,);
 * places (width,), shares (width, 2). */
template <> struct Argument<Centers> {
    static Centers from(Call &call, PyObject *tuple) {
        if (!call.expect(PyTuple_Check(tuple), "a tuple of centers"))
            return {};
        const auto slices = item<int32_t>(call, tuple, 0);
        const auto fz = item<double>(call, tuple, 1);
        const auto rows = item<int32_t>(call, tuple, 2);
        const auto fy = item<double>(call, tuple, 3);
        const auto places = item<int32_t>(call, tuple, 4);
        const auto shares = item<double>(call, tuple, 5);
        return {slices.row(0), slices.row(1), fz.start,    rows.row(0),  rows.row(1),    fy.start,
                places.start,  shares.start,  fz.shape[0], fy.shape[0], places.shape[0]};
    }
};

} // namespace histeq

#include "kernels.h"

HISTEQ_MODULE(kernels, histeq::share_instruction_sets)
