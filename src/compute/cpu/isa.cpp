#include "compute/cpu/isa.h"

#include <fmt/ranges.h>

#include "compute/backend.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace nereus {
namespace {

#if defined(__x86_64__)

struct Cpuid {
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
};

Cpuid cpuid(unsigned leaf) {
    Cpuid regs;
    __get_cpuid_count(leaf, 0, &regs.eax, &regs.ebx, &regs.ecx, &regs.edx);
    return regs;
}

bool has_all(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }

/// Register files the operating system saves (XCR0): a CPU may know AVX-512 while the kernel does
/// not.
unsigned saved_states() {
    if (!has_all(cpuid(1).ecx, bit_OSXSAVE)) {
        return 0;
    }
    unsigned low = 0;
    unsigned high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

constexpr unsigned kXmmYmm = 0x06;
constexpr unsigned kXmmYmmZmm = 0xe6;

bool can_avx2() {
    return has_all(saved_states(), kXmmYmm) &&
           has_all(cpuid(1).ecx, bit_AVX | bit_FMA | bit_F16C | bit_POPCNT) &&
           has_all(cpuid(7).ebx, bit_AVX2 | bit_BMI2);
}

bool can_avx512() {
    return can_avx2() && has_all(saved_states(), kXmmYmmZmm) &&
           has_all(cpuid(7).ebx,
                   bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ | bit_AVX512CD);
}

bool can_avx512_vnni() { return can_avx512() && has_all(cpuid(7).ecx, bit_AVX512VNNI); }

#endif

bool always() { return true; }

struct IsaRow {
    const KernelTable* table;
    bool (*supported)();
};

/// Fastest first. A new instruction set is a line here.
constexpr IsaRow kIsas[] = {
#if defined(__x86_64__)
    {&kAvx512VnniKernels, can_avx512_vnni},
    {&kAvx512Kernels, can_avx512},
    {&kAvx2Kernels, can_avx2},
#endif
    {&kPortableKernels, always},
};

template <typename Entry>
void inherit(Entry*& entry, Entry* slower) {
    entry = entry != nullptr ? entry : slower;
}

void inherit_missing(KernelTable& table, const KernelTable& slower) {
    for (int i = 0; i < kFormatCount; ++i) {
        inherit(table.formats[i].dot_rows, slower.formats[i].dot_rows);
        inherit(table.formats[i].decode_rows, slower.formats[i].decode_rows);
    }
    inherit(table.products, slower.products);
    inherit(table.accumulate, slower.accumulate);
    inherit(table.exp_row, slower.exp_row);
    inherit(table.softmax_row, slower.softmax_row);
    inherit(table.rms_norm_row, slower.rms_norm_row);
    inherit(table.swiglu_row, slower.swiglu_row);
    inherit(table.int8, slower.int8);
    inherit(table.blocks, slower.blocks);
    inherit(table.latent, slower.latent);
}

}  // namespace

std::vector<std::string> available_isas() {
    std::vector<std::string> names;
    for (const IsaRow& row : kIsas) {
        if (row.supported()) {
            names.emplace_back(row.table->name);
        }
    }
    return names;
}

Result<KernelTable> select_kernels(std::string_view isa) {
    KernelTable chosen{};
    for (const IsaRow& row : kIsas) {
        if (!row.supported()) {
            continue;
        }
        if (chosen.name != nullptr) {
            inherit_missing(chosen, *row.table);
        } else if (isa.empty() || isa == row.table->name) {
            chosen = *row.table;
        }
    }
    if (chosen.name == nullptr) {
        return make_error(ErrorCode::kUnsupported,
                          "instruction set '{}' cannot be used on this CPU; available: {}", isa,
                          fmt::join(available_isas(), ", "));
    }
    return chosen;
}

}  // namespace nereus
