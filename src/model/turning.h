#pragma once
// Turning: the residual stream and the values of attention in another orthogonal basis. One channel
// that is a hundred times larger than its neighbours takes all the levels of an int8 block; in a
// basis where every channel is a sum of many, none is. The model computes the same: a norm's gain
// goes into the matrices behind it (they read x / rms(x), whose length no rotation changes), what
// writes into the stream is turned, what reads from it is turned back. Nothing is computed when the
// model runs. (QuaRot, https://arxiv.org/abs/2404.00456; the basis is Hadamard's, in blocks.)

#include <cstdint>

namespace nereus {

/// Length of the blocks in which n channels are turned: a power of two, at most kTurnBlockMax.
int64_t turn_block(int64_t n);

/// Of 256 channels the largest shrinks to a sixteenth; 256 rows of 18432 columns are 19 MB.
inline constexpr int64_t kTurnBlockMax = 256;

/// x times the symmetric orthogonal matrix, block by block; twice is the identity. n is a multiple
/// of block.
void turn_row(float* x, int64_t n, int64_t block);

/// The same for every column of rows [n_rows, n_cols]; n_rows is a multiple of block.
void turn_columns(float* rows, int64_t n_rows, int64_t n_cols, int64_t block);

}  // namespace nereus
