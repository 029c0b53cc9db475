/* All loops over pixels, in the namespace of one instruction set. No include guard: _kernels.h
 * includes this once for each of them. */
namespace histeq {
namespace HISTEQ_TARGET {

#include "_channels.h"

#include "_levels.h"

#include "_store.h"

#include "_reals.h"

#include "_ranks.h"

#include "_equalize.h"

#include "_steps.h"

#include "_learn.h"

#include "_match.h"

#include "_color.h"

#include "_tiles.h"

#include "_adapt_histeq.h"

#include "_adapt_opencv.h"

#include "_adapt_skimage.h"

#include "_shifts.h"

#include "_columns.h"

#include "_local.h"

} // namespace HISTEQ_TARGET
} // namespace histeq
