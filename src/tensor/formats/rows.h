#pragma once
// The functions behind the rows of the format table; one file per format beside this one.

#include <cstddef>
#include <cstdint>

#include "tensor/block_integers.h"
#include "tensor/format.h"

namespace nereus {

void decode_f32(const StoredRow& row, int64_t n, float* out);
void decode_f16(const StoredRow& row, int64_t n, float* out);
void decode_bf16(const StoredRow& row, int64_t n, float* out);
void decode_f8_e4m3(const StoredRow& row, int64_t n, float* out);
void decode_fp8_block128(const StoredRow& row, int64_t n, float* out);
void decode_q8_0(const StoredRow& row, int64_t n, float* out);
void decode_q4_0(const StoredRow& row, int64_t n, float* out);
void decode_q4_1(const StoredRow& row, int64_t n, float* out);
void decode_q5_0(const StoredRow& row, int64_t n, float* out);
void decode_q5_1(const StoredRow& row, int64_t n, float* out);
void decode_q2_k(const StoredRow& row, int64_t n, float* out);
void decode_q3_k(const StoredRow& row, int64_t n, float* out);
void decode_q4_k(const StoredRow& row, int64_t n, float* out);
void decode_q5_k(const StoredRow& row, int64_t n, float* out);
void decode_q6_k(const StoredRow& row, int64_t n, float* out);
void decode_iq2_xxs(const StoredRow& row, int64_t n, float* out);
void decode_iq4_nl(const StoredRow& row, int64_t n, float* out);
void decode_mxfp4(const StoredRow& row, int64_t n, float* out);

void encode_f32(const float* values, int64_t n, std::byte* out);
void encode_f16(const float* values, int64_t n, std::byte* out);
void encode_bf16(const float* values, int64_t n, std::byte* out);
void encode_q8_0(const float* values, int64_t n, std::byte* out);
void encode_q4_0(const float* values, int64_t n, std::byte* out);

void unpack_q8_0(const std::byte* block, BlockIntegers& out);
void unpack_q4_0(const std::byte* block, BlockIntegers& out);
void unpack_q4_1(const std::byte* block, BlockIntegers& out);
void unpack_q5_0(const std::byte* block, BlockIntegers& out);
void unpack_q5_1(const std::byte* block, BlockIntegers& out);
void unpack_iq4_nl(const std::byte* block, BlockIntegers& out);
void unpack_mxfp4(const std::byte* block, BlockIntegers& out);
void unpack_q2_k(const std::byte* block, BlockIntegers& out);
void unpack_q3_k(const std::byte* block, BlockIntegers& out);
void unpack_q4_k(const std::byte* block, BlockIntegers& out);
void unpack_q5_k(const std::byte* block, BlockIntegers& out);
void unpack_q6_k(const std::byte* block, BlockIntegers& out);
void unpack_iq2_xxs(const std::byte* block, BlockIntegers& out);

}  // namespace nereus
