// LayerStream: the bytes of a layer are there while a pass is in it, whatever layers are streamed
// and however often; a file that cannot be read is that pass's error and not the next one's.

#include "memory/layer_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

namespace nereus {
namespace {

namespace fs = std::filesystem;

/// A copy of a golden model in the build folder, whose file system has direct reads.
class Streamed : public testing::Test {
  protected:
    Streamed() {
        fs::copy(fs::path(NEREUS_SOURCE_DIR) / "tests/golden/v2_lite", folder_,
                 fs::copy_options::recursive);
        checkpoint_ = std::move(open_checkpoint(folder_)).value();
    }
    ~Streamed() override { fs::remove_all(folder_); }

    struct Placed {
        int64_t layer;
        const StoredTensor* tensor;
        const std::byte* place;
    };

    /// Every tensor of these layers, in the order of the file.
    std::vector<Placed> place(LayerStream& stream, const std::vector<int64_t>& layers) const {
        std::vector<Placed> placed;
        for (const int64_t layer : layers) {
            const std::string prefix = fmt::format("model.layers.{}.", layer);
            for (const StoredTensor& tensor : checkpoint_->tensors()) {
                if (tensor.name.starts_with(prefix)) {
                    placed.push_back({layer, &tensor, stream.place(layer, tensor)});
                }
            }
        }
        return placed;
    }

    static bool is_there(const std::vector<Placed>& placed, int64_t layer) {
        bool any = false;
        for (const Placed& one : placed) {
            any = any || one.layer == layer;
            if (one.layer == layer &&
                std::memcmp(one.place, one.tensor->data.data(), one.tensor->data.size()) != 0) {
                return false;
            }
        }
        return any;
    }

    std::unique_ptr<LayerStream> create(const AsyncReadOptions& reads = {}) const {
        return std::move(LayerStream::create(*checkpoint_, reads)).value();
    }

    std::unique_ptr<Checkpoint> checkpoint_;
    fs::path folder_ = fs::current_path() / fmt::format("layer_stream_test.{}", ::getpid());
};

TEST_F(Streamed, every_layer_has_its_bytes_when_it_is_entered_pass_after_pass) {
    for (const std::vector<int64_t>& layers :
         std::vector<std::vector<int64_t>>{{0}, {1}, {0, 1}, {0, 1, 2}, {1, 2}}) {
        const auto stream = create();
        const std::vector<Placed> placed = place(*stream, layers);
        for (int pass = 0; pass < 4; ++pass) {
            for (int64_t layer = 0; layer < 3; ++layer) {
                ASSERT_TRUE(stream->enter(layer).ok());
                if (std::find(layers.begin(), layers.end(), layer) != layers.end()) {
                    EXPECT_TRUE(is_there(placed, layer))
                        << layers.size() << " layers, pass " << pass << ", layer " << layer;
                }
            }
        }
    }
}

TEST_F(Streamed, a_pass_may_begin_again_anywhere) {
    const auto stream = create();
    const std::vector<Placed> placed = place(*stream, {0, 1, 2});
    for (const int64_t layer : {0, 1, 0, 2, 2, 1, 0, 0, 1, 2, 0}) {
        ASSERT_TRUE(stream->enter(layer).ok());
        EXPECT_TRUE(is_there(placed, layer)) << layer;
    }
}

TEST_F(Streamed, nothing_happens_for_a_layer_that_is_not_streamed_and_nothing_is_kept_for_it) {
    const auto none = create();
    EXPECT_EQ(none->n_bytes(), 0U);
    EXPECT_TRUE(none->enter(0).ok());
    const auto stream = create();
    place(*stream, {1});
    EXPECT_TRUE(stream->enter(0).ok());
    EXPECT_TRUE(stream->enter(99).ok());
}

TEST_F(Streamed, two_buffers_hold_the_largest_layers_of_even_and_odd_places) {
    const auto bytes_of = [&](const std::vector<int64_t>& layers) {
        const auto stream = create();
        place(*stream, layers);
        return stream->n_bytes();
    };
    const uint64_t one = bytes_of({1});
    EXPECT_GT(one, 0U);
    EXPECT_EQ(bytes_of({1, 2}), one + bytes_of({2}));
    EXPECT_EQ(bytes_of({0, 1, 2}), std::max(bytes_of({0}), bytes_of({2})) + one)
        << "the third layer lies where the first one was";
}

TEST_F(Streamed, a_file_cut_short_is_an_error_that_names_it_until_it_is_whole_again) {
    const auto stream = create();
    const std::vector<Placed> placed = place(*stream, {0, 1, 2});
    const std::string file = placed.back().tensor->file;
    const fs::path copy = file + ".whole";
    fs::copy_file(file, copy);
    fs::resize_file(file, 4096);
    const Status failed = stream->enter(2);
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ErrorCode::kIo);
    EXPECT_THAT(failed.error().message, testing::HasSubstr(file));
    // The same file again, not another one by that name: it stays open.
    fs::copy_file(copy, file, fs::copy_options::overwrite_existing);
    for (const int64_t layer : {2, 0, 1, 2}) {
        Status entered = stream->enter(layer);
        if (!entered.ok()) {  // what was read ahead while the file was short
            entered = stream->enter(layer);
        }
        ASSERT_TRUE(entered.ok()) << entered.error().message;
        EXPECT_TRUE(is_there(placed, layer)) << layer;
    }
}

TEST_F(Streamed, a_missing_file_is_an_error_at_the_first_layer) {
    const auto stream = create();
    const std::vector<Placed> placed = place(*stream, {0});
    fs::remove(placed[0].tensor->file);
    const Status failed = stream->enter(0);
    ASSERT_FALSE(failed.ok());
    EXPECT_THAT(failed.error().message, testing::HasSubstr(placed[0].tensor->file));
}

}  // namespace
}  // namespace nereus
