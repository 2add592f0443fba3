// The AMX kernel table: block products of panels on tiles, and AVX-512 VNNI's dots below the rows
// that fill one; everything else is inherited.

#include "compute/cpu/kernels.h"

#include "compute/cpu/amx/tiles.h"
#include "compute/cpu/avx512_vnni/int8.h"
#include "compute/cpu/wide/int8_tiles.h"

namespace nereus {
namespace {

constexpr Int8Kernels amx_int8() {
    Int8Kernels kernels = vnni_int8(multiply_on_tiles<AmxTiles, Vnni512>);
    set_direct_rows(kernels, 8, 8, 8);
    kernels.begin = AmxTiles::configure;
    kernels.end = AmxTiles::release;
    return kernels;
}

inline constexpr Int8Kernels kAmxInt8 = amx_int8();

constexpr KernelTable amx_table() {
    KernelTable table{};
    table.name = "amx";
    table.int8 = &kAmxInt8;
    return table;
}

}  // namespace

extern constexpr KernelTable kAmxKernels = amx_table();

}  // namespace nereus
