#include "apps/random_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/digest.h"
#include "base/units.h"
#include "tensor/random.h"

namespace nereus {
namespace {

constexpr uint64_t kPieceBytes = kMiB;
constexpr uint64_t kPieces = 32;

/// Normed rows of deviation 1 stay of deviation 1 after a product, so that logits are finite and
/// routers choose; the embedding has it from the start.
double deviation_of(const ModelTensor& tensor) {
    return tensor.role == TensorRole::kEmbedding
               ? 1.0
               : 1.0 / std::sqrt(static_cast<double>(tensor.cols));
}

void fill_with(float value, std::span<std::byte> out) {
    for (size_t i = 0; i < out.size(); i += sizeof(value)) {
        std::memcpy(out.data() + i, &value, sizeof(value));
    }
}

/// Norms are ones, biases small.
void fill_vector(const ModelTensor& tensor, uint64_t seed, uint64_t stream,
                 std::span<std::byte> out) {
    if (tensor.name.find("norm") == std::string::npos) {
        fill_random(FormatId::kF32, 0.01, seed, stream, out);
        return;
    }
    fill_with(1.0F, out);
}

}  // namespace

Status RandomBytes::write(const ModelTensor& tensor, FormatId format, const AppendBytes& append) {
    const auto n_bytes =
        static_cast<uint64_t>(format_of(format).matrix_bytes(tensor.rows, tensor.cols));
    const uint64_t stream = digest_of(tensor.name);
    if (tensor.role == TensorRole::kVector) {
        buffer_.resize(n_bytes);
        fill_vector(tensor, seed_, stream, buffer_);
        return append(buffer_);
    }
    const auto unit = static_cast<uint64_t>(random_unit_bytes(format));
    const uint64_t piece = kPieceBytes / unit * unit;
    buffer_.resize(std::min(n_bytes, kPieces * piece));
    for (uint64_t begin = 0; begin < n_bytes; begin += buffer_.size()) {
        const std::span<std::byte> part =
            std::span(buffer_).first(std::min<uint64_t>(n_bytes - begin, buffer_.size()));
        const auto n_pieces = static_cast<int64_t>(ceil_div<uint64_t>(part.size(), piece));
        pool_.parallel_for(n_pieces, 1, [&](int64_t first, int64_t last) {
            for (int64_t i = first; i < last; ++i) {
                const uint64_t at = static_cast<uint64_t>(i) * piece;
                fill_random(format, deviation_of(tensor), seed_, stream + begin + at,
                            part.subspan(at, std::min(piece, part.size() - at)));
            }
        });
        NEREUS_TRY(append(part));
    }
    return {};
}

Status RandomBytes::write_fp8_scales(const ModelTensor& tensor, const AppendBytes& append) {
    constexpr int64_t kBlock = 128;
    buffer_.resize(sizeof(float) * static_cast<size_t>(ceil_div(tensor.rows, kBlock) *
                                                       ceil_div(tensor.cols, kBlock)));
    fill_with(static_cast<float>(deviation_of(tensor) * kRandomFp8Scale), buffer_);
    return append(buffer_);
}

}  // namespace nereus
