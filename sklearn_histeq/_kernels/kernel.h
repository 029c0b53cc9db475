/* What a kernel is, and the list of those of a module.
 *
 * A kernel is a function template `int kernel(Planes<Pixel> planes, ...)`. It checks nothing,
 * writes only to arrays that its caller owns, and returns NO_MEMORY, DONE or what it has to tell.
 * It uses no exceptions, no type information at run time, and nothing of the C++ library that has
 * to be linked. The kernels.h of a folder lists its kernels, and for which types of pixels they are
 * compiled; module.h makes functions of Python of them.
 */
#pragma once

#include "types.h"

namespace histeq {

class Call; /* from Python; see module.h */
using Function = void (*)();

/* Run a kernel that takes these types with the arguments of a call; see module.h. */
template <class... Arguments> int run(Function kernel, Call &call);

/* A kernel for one type of its first argument. */
struct Kernel {
    const char *name;
    int type, n_arguments;
    int (*run)(Function, Call &);
    Function variants[2]; /* PORTABLE, AVX2 */
};

/* Functions list the kernels of each instruction set: where the processor lacks the set, its
 * function is not called. All lists have the same order. */
struct KernelList {
    static constexpr int MOST = 63;
    Kernel kernels[MOST + 1]; /* one without a name ends the list */
    int n, variant; /* n > MOST: some had no room, and the module cannot be imported */

    template <class First, class... Rest>
    void add(const char *name, int (*kernel)(First, Rest...)) {
        if (n++ >= MOST)
            return;
        Kernel &added = kernels[n - 1];
        added.name = name;
        added.type = TYPE<std::remove_const_t<typename First::Type>>;
        added.n_arguments = 1 + sizeof...(Rest);
        added.run = run<First, Rest...>;
        added.variants[variant] = reinterpret_cast<Function>(kernel);
    }

    /* Add the kernels that choose returns for a number of each type. */
    template <class... Types, class Choose> void add_each(const char *name, const Choose &choose) {
        (add(name, choose(Types{})), ...);
    }
};

/* Add the template `kernel` to the list, compiled for these types of pixels. */
#define HISTEQ_KERNEL(kernel, ...)                                                                 \
    list.add_each<__VA_ARGS__>(#kernel, [](auto pixel) { return kernel<decltype(pixel)>; })

} // namespace histeq
