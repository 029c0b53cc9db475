/* The module sklearn_histeq._clahe.kernels: the kernels of CLAHE. */
#include "../_kernels/module.h"

#include "tiles.h"

namespace histeq {

/* Tiles are a tuple of arrays:
 *
 * rows, columns: the tiles' edges (n, 2), or, for the peers' equal tiles, their pixels (n, side)
 * between (2, height): the rows of tiles around each row of pixels
 * places (width,): where a pixel's two tiles begin in a row of tables
 * fy (height,), shares (width, 2): the shares of the lower row, of the left and the right tile
 * layers (n, 2), between (2, depth), fz (depth,): the same of layers of tiles and slices */
template <> struct Argument<Tiling> {
    static Tiling from(Call &call, PyObject *tuple) {
        if (!call.expect(PyTuple_Check(tuple), "a tuple of tiles"))
            return {};
        const auto rows = item<int32_t>(call, tuple, 0), columns = item<int32_t>(call, tuple, 1);
        const auto between = item<int32_t>(call, tuple, 2), places = item<int32_t>(call, tuple, 3);
        const auto fy = item<double>(call, tuple, 4), shares = item<double>(call, tuple, 5);
        const auto layers = item<int32_t>(call, tuple, 6), slices = item<int32_t>(call, tuple, 7);
        const auto fz = item<double>(call, tuple, 8);
        return {rows.start,    columns.start,    between.row(0), between.row(1),
                places.start,  fy.start,         shares.start,   columns.shape[0],
                rows.shape[1], columns.shape[1], fy.shape[0],    places.shape[0],
                layers.start,  slices.row(0),    slices.row(1),  fz.start,
                rows.shape[0], fz.shape[0],      0,              fy.shape[0]};
    }

  private:
    template <class Number>
    static Array<const Number> item(Call &call, PyObject *tuple, Py_ssize_t i) {
        PyObject *array = call.has_failed ? nullptr : PyTuple_GetItem(tuple, i);
        call.has_failed |= !array;
        if (call.has_failed)
            return {};
        return Argument<Array<const Number>>::from(call, array);
    }
};

} // namespace histeq

#include "kernels.h"

HISTEQ_MODULE(kernels, histeq::share_instruction_sets)
