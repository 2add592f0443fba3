#include "model/repack.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "base/check.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "memory/weight_set.h"
#include "model/turning.h"
#include "tensor/panel.h"

namespace nereus {
namespace {

constexpr uint64_t kBufferBytes = 32 * kMiB;
constexpr size_t kSamples = 1024;
constexpr size_t kSampleBytes = 64;

/// Tells two checkpoints of the same shapes apart by a little of what they hold.
uint64_t sample_of(const Checkpoint& checkpoint) {
    Digest digest;
    const auto tensors = checkpoint.tensors();
    const size_t step = std::max<size_t>(1, tensors.size() / kSamples);
    for (size_t i = 0; i < tensors.size(); i += step) {
        const auto bytes = tensors[i].data;
        const size_t n = std::min(bytes.size(), kSampleBytes);
        digest.add_text(tensors[i].name);
        digest.add(bytes.subspan((bytes.size() - n) / 2, n));
    }
    return digest.value();
}

/// A run of a tensor's rows that one thread makes.
struct Piece {
    int64_t first = 0;
    int64_t n_rows = 0;
    uint64_t offset = 0;  ///< of its bytes in the tensor
};

/// A planned tensor with its rows at hand.
struct Bound {
    ModelTensor tensor;
    const Format* format = nullptr;
    Weight weight;                ///< the source's rows, of matrices
    std::vector<float> vector;    ///< the numbers of a vector
    const float* gain = nullptr;  ///< [cols], folded into the columns
    int64_t read_block = 1;       ///< the columns are turned in blocks of it
    int64_t write_block = 1;      ///< the rows
};

class RowReader {
  public:
    RowReader(const ModelConfig& config, const Bound& bound) : c_(config), b_(bound) {}

    /// Rows that have to be read together.
    int64_t rows_together() const {
        const int64_t least = b_.tensor.source == RowSource::kKeyHalf ? c_.kv_lora_rank : 1;
        return std::max({least, b_.write_block, kPanelRows});
    }

    /// Where the rows' source begins, as importance knows it.
    const std::byte* origin(int64_t first) const { return b_.weight.row(source_row(first)).data; }

    /// Rows in the pack's basis.
    void read(int64_t first, int64_t n_rows, float* out) const {
        read_published(first, n_rows, out);
        const int64_t n = b_.tensor.cols;
        for (int64_t r = 0; r < n_rows && b_.gain != nullptr; ++r) {
            std::transform(b_.gain, b_.gain + n, out + r * n, out + r * n, std::multiplies<>());
        }
        for (int64_t r = 0; r < n_rows && b_.read_block > 1; ++r) {
            turn_row(out + r * n, n, b_.read_block);
        }
        if (b_.write_block > 1) {
            turn_columns(out, n_rows, n, b_.write_block);
        }
    }

  private:
    void read_published(int64_t first, int64_t n_rows, float* out) const {
        if (b_.tensor.source == RowSource::kKeyHalf) {
            NEREUS_CHECK(first % c_.kv_lora_rank == 0 && n_rows == c_.kv_lora_rank);
            return read_key_head(first / c_.kv_lora_rank, out);
        }
        for (int64_t r = 0; r < n_rows; ++r) {
            decode(source_row(first + r), out + r * b_.tensor.cols);
        }
    }

    void decode(int64_t row, float* out) const {
        b_.weight.format->decode_row(b_.weight.row(row), b_.weight.cols, out);
    }

    int64_t source_row(int64_t row) const {
        const int64_t both = c_.qk_nope_head_dim + c_.v_head_dim;
        switch (b_.tensor.source) {
            case RowSource::kKeyHalf:
                return row / c_.kv_lora_rank * both;
            case RowSource::kValueHalf:
                return row / c_.v_head_dim * both + c_.qk_nope_head_dim + row % c_.v_head_dim;
            default:
                return b_.tensor.source_first + row;
        }
    }

    /// kv_b's first qk_nope_head_dim rows of a head become columns.
    void read_key_head(int64_t head, float* out) const {
        const int64_t n_columns = c_.qk_nope_head_dim;
        std::vector<float> row(static_cast<size_t>(c_.kv_lora_rank));
        for (int64_t i = 0; i < n_columns; ++i) {
            decode(source_row(head * c_.kv_lora_rank) + i, row.data());
            for (int64_t l = 0; l < c_.kv_lora_rank; ++l) {
                out[l * n_columns + i] = row[static_cast<size_t>(l)];
            }
        }
    }

    const ModelConfig& c_;
    const Bound& b_;
};

void encode_rows(const Format& format, const float* rows, int64_t n_rows, int64_t cols,
                 const float* importance, std::byte* out) {
    for (int64_t r = 0; r < n_rows; r += format.rows_together()) {
        if (format.panel != nullptr) {
            encode_panel(format, rows + r * cols, cols, std::min(kPanelRows, n_rows - r), cols,
                         importance, EncodeEffort::kBest, out);
        } else {
            format.encode_row(rows + r * cols, cols, out);
        }
        out += format.stride_bytes(cols);
    }
}

class CheckpointRepack final : public Repack {
  public:
    CheckpointRepack(const Checkpoint& checkpoint, ModelConfig config, PackBasis basis)
        : checkpoint_(checkpoint),
          config_(std::move(config)),
          weights_(checkpoint),
          turned_(basis == PackBasis::kTurned && !config_.tie_word_embeddings) {}

    Status bind(const Recipe& recipe, const std::string& options) {
        std::unordered_set<std::string> used;
        std::vector<ModelTensor> planned =
            model_tensors(config_, checkpoint_.kind(), TensorLayout::kPack);
        if (turned_) {
            NEREUS_TRY(read_gains(planned));
        }
        for (ModelTensor& tensor : planned) {
            if (tensor.optional && checkpoint_.find(tensor.source_name) == nullptr) {
                continue;
            }
            if (checkpoint_.find(tensor.name) != nullptr) {  // the source is split already
                tensor.source = RowSource::kSame;
                tensor.source_name = tensor.name;
                tensor.source_rows = tensor.rows;
                tensor.source_first = 0;
            }
            used.insert(tensor.source_name);
            NEREUS_TRY(bind_tensor(recipe, std::move(tensor)));
        }
        n_left_out_ = static_cast<int64_t>(checkpoint_.tensors().size() - used.size());
        std::vector<FormatId> formats;
        for (const Bound& bound : bound_) {
            tensors_.push_back(bound.tensor);
            formats.push_back(bound.format->id);
        }
        content_.recipe = recipe.name;
        content_.kind = checkpoint_.kind();
        content_.source =
            fmt::format("{:x}; {}{}", sample_of(checkpoint_), options, turned_ ? "; turned" : "");
        content_.blobs = pack_blobs(tensors_, formats);
        content_.copies = NEREUS_TRY(files_to_copy(checkpoint_));
        return {};
    }

    const PackContent& content() const override { return content_; }
    const std::vector<ModelTensor>& tensors() const override { return tensors_; }
    int64_t n_left_out() const override { return n_left_out_; }

    Result<int64_t> n_unseen_experts(const ImportanceOf& importance) const override {
        int64_t n_unseen = 0;
        for (size_t i = 0; i < bound_.size(); ++i) {
            const ModelTensor& tensor = bound_[i].tensor;
            if (tensor.role == TensorRole::kVector || tensor.role == TensorRole::kEmbedding ||
                importance(RowReader(config_, bound_[i]).origin(0), tensor.cols) != nullptr) {
                continue;
            }
            if (tensor.role != TensorRole::kRoutedExpert) {
                return make_error(ErrorCode::kInvalidArgument,
                                  "{}: tensor {}: no statistics of its inputs; expected them from "
                                  "a run of the same model",
                                  checkpoint_.path().string(), tensor.name);
            }
            const bool counted = i > 0 && bound_[i - 1].tensor.expert == tensor.expert &&
                                 bound_[i - 1].tensor.layer == tensor.layer;
            n_unseen += counted ? 0 : 1;
        }
        return n_unseen;
    }

    Status write(PackWriter& writer, ThreadPool& pool, const ImportanceOf& importance,
                 const std::function<void()>& progress) override {
        size_t tensor = 0;
        for (size_t blob = 0; blob < content_.blobs.size(); ++blob) {
            for (size_t i = 0; i < content_.blobs[blob].tensors.size(); ++i, ++tensor) {
                if (blob >= writer.next_blob()) {
                    NEREUS_TRY(write_tensor(bound_[tensor], writer, pool, importance));
                }
            }
            progress();
        }
        return {};
    }

  private:
    /// The gains of the residual stream's norms. Where all are one, the model is turned already.
    Status read_gains(const std::vector<ModelTensor>& planned) {
        bool all_one = true;
        for (const ModelTensor& tensor : planned) {
            if (tensor.norm != tensor.name) {
                continue;
            }
            const float* gain = NEREUS_TRY(weights_.vector(tensor.source_name, tensor.cols));
            all_one &= std::all_of(gain, gain + tensor.cols, [](float g) { return g == 1.0F; });
            gains_[tensor.name] = gain;
        }
        turned_ = !all_one;
        return {};
    }

    int64_t block_of(Space space) const {
        if (!turned_ || space == Space::kOwn) {
            return 1;
        }
        return turn_block(space == Space::kResidual ? config_.hidden_size : config_.v_head_dim);
    }

    /// The basis that the tensor gets: gains go from norms into what reads behind them.
    void turn(Bound& bound) const {
        const ModelTensor& tensor = bound.tensor;
        bound.read_block = block_of(tensor.reads);
        bound.write_block = block_of(tensor.writes);
        if (tensor.role != TensorRole::kVector) {
            bound.gain = turned_ && !tensor.norm.empty() ? gains_.at(tensor.norm) : nullptr;
            return;
        }
        if (turned_ && tensor.norm == tensor.name) {
            std::fill(bound.vector.begin(), bound.vector.end(), 1.0F);
        }
        turn_row(bound.vector.data(), tensor.cols, bound.write_block);
    }

    Status bind_tensor(const Recipe& recipe, ModelTensor tensor) {
        Bound bound;
        FormatId stored = FormatId::kF32;
        if (tensor.role == TensorRole::kVector) {
            const float* numbers = NEREUS_TRY(weights_.vector(tensor.source_name, tensor.cols));
            bound.vector.assign(numbers, numbers + tensor.cols);
        } else {
            const int64_t cols =
                tensor.source == RowSource::kKeyHalf ? config_.kv_lora_rank : tensor.cols;
            bound.weight =
                NEREUS_TRY(weights_.matrix(tensor.source_name, tensor.source_rows, cols));
            stored =
                turned_ ? FormatId::kF32 : bound.weight.format->id;  // sums are not bf16 any more
        }
        bound.format = &format_of(format_for(recipe, tensor, stored));
        bound.tensor = std::move(tensor);
        turn(bound);
        bound_.push_back(std::move(bound));
        return {};
    }

    Status write_tensor(const Bound& bound, PackWriter& writer, ThreadPool& pool,
                        const ImportanceOf& importance) {
        const ModelTensor& tensor = bound.tensor;
        if (tensor.role == TensorRole::kVector) {
            const auto* bytes = reinterpret_cast<const std::byte*>(bound.vector.data());
            return writer.append({bytes, static_cast<size_t>(tensor.cols) * sizeof(float)});
        }
        const RowReader reader(config_, bound);
        std::vector<Piece> pieces;
        uint64_t n_bytes = 0;
        for (int64_t first = 0; first < tensor.rows;) {
            const int64_t n = std::min(reader.rows_together(), tensor.rows - first);
            const auto piece_bytes =
                static_cast<uint64_t>(bound.format->matrix_bytes(n, tensor.cols));
            pieces.push_back({first, n, n_bytes});
            n_bytes += piece_bytes;
            first += n;
            if (n_bytes >= kBufferBytes || first == tensor.rows) {
                NEREUS_TRY(write_pieces(bound, reader, pieces, n_bytes, writer, pool, importance));
                pieces.clear();
                n_bytes = 0;
            }
        }
        drop_source(bound);
        return {};
    }

    Status write_pieces(const Bound& bound, const RowReader& reader,
                        const std::vector<Piece>& pieces, uint64_t n_bytes, PackWriter& writer,
                        ThreadPool& pool, const ImportanceOf& importance) {
        buffer_.resize(std::max<size_t>(buffer_.size(), n_bytes));
        std::atomic<int64_t> bad_row = -1;
        pool.parallel_for(static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const Piece& piece = pieces[static_cast<size_t>(i)];
                if (!make_piece(bound, reader, piece, importance)) {
                    bad_row = piece.first;
                }
            }
        });
        if (bad_row >= 0) {
            return make_error(
                ErrorCode::kCorrupt,
                "{}: tensor {}: a number in the rows from {} is not finite; it cannot "
                "be rounded to {}",
                checkpoint_.path().string(), bound.tensor.name, bad_row.load(), bound.format->name);
        }
        return writer.append(std::span<const std::byte>(buffer_).first(n_bytes));
    }

    /// False when a number is not finite.
    bool make_piece(const Bound& bound, const RowReader& reader, const Piece& piece,
                    const ImportanceOf& importance) {
        const int64_t cols = bound.tensor.cols;
        std::vector<float> rows(static_cast<size_t>(piece.n_rows * cols));
        reader.read(piece.first, piece.n_rows, rows.data());
        if (!std::all_of(rows.begin(), rows.end(), [](float x) { return std::isfinite(x); })) {
            return false;
        }
        // Turned columns are sums of a whole block: all of a panel's matter alike.
        const float* weights = importance && bound.read_block == 1
                                   ? importance(reader.origin(piece.first), cols)
                                   : nullptr;
        encode_rows(*bound.format, rows.data(), piece.n_rows, cols, weights,
                    buffer_.data() + piece.offset);
        return true;
    }

    static void drop_source(const Bound& bound) {
        const Weight part =
            bound.tensor.source == RowSource::kSame
                ? bound.weight.slice_rows(bound.tensor.source_first, bound.tensor.rows)
                : bound.weight;
        drop_pages(
            {part.data, static_cast<size_t>(part.format->matrix_bytes(part.rows, part.cols))});
    }

    const Checkpoint& checkpoint_;
    const ModelConfig config_;
    WeightSet weights_;
    bool turned_;
    std::unordered_map<std::string, const float*> gains_;  ///< by the norm's name
    std::vector<Bound> bound_;
    std::vector<ModelTensor> tensors_;
    PackContent content_;
    int64_t n_left_out_ = 0;
    std::vector<std::byte> buffer_;
};

}  // namespace

Result<std::unique_ptr<Repack>> Repack::plan(const Checkpoint& checkpoint, const Recipe& recipe,
                                             const std::string& options, PackBasis basis) {
    auto repack =
        std::make_unique<CheckpointRepack>(checkpoint, NEREUS_TRY(config_of(checkpoint)), basis);
    NEREUS_TRY(repack->bind(recipe, options));
    return std::unique_ptr<Repack>(std::move(repack));
}

}  // namespace nereus
