#include "memory/resident.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/rng.h"
#include "base/thread_pool.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;

/// A copy of a golden model in the build folder, whose file system has direct reads.
class CopiedModel {
  public:
    explicit CopiedModel(const std::string& name)
        : folder_(fs::current_path() / fmt::format("resident_test.{}.{}", ::getpid(), name)) {
        fs::copy(fs::path(NEREUS_SOURCE_DIR) / "tests/golden" / name, folder_,
                 fs::copy_options::recursive);
        checkpoint_ = std::move(open_checkpoint(folder_)).value();
    }
    CopiedModel(const CopiedModel&) = delete;
    CopiedModel& operator=(const CopiedModel&) = delete;
    ~CopiedModel() { fs::remove_all(folder_); }

    const Checkpoint& checkpoint() const { return *checkpoint_; }
    std::string first_file() const { return checkpoint_->tensors().front().file; }

    /// Writes all files to the disk and forgets their cached pages.
    void make_cold() const {
        for (const auto& entry : fs::directory_iterator(folder_)) {
            const int fd = ::open(entry.path().c_str(), O_RDONLY);
            ::fsync(fd);
            ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
            ::close(fd);
        }
    }

  private:
    fs::path folder_;
    std::unique_ptr<Checkpoint> checkpoint_;
};

/// The tensors in a pseudo-random order.
std::vector<const StoredTensor*> shuffled(const Checkpoint& checkpoint, uint64_t seed) {
    std::vector<const StoredTensor*> tensors;
    for (const StoredTensor& tensor : checkpoint.tensors()) {
        tensors.push_back(&tensor);
    }
    for (size_t i = tensors.size(); i > 1; --i) {
        std::swap(tensors[i - 1], tensors[random_bits(seed, 0, i) % i]);
    }
    return tensors;
}

bool all_equal(const std::vector<const StoredTensor*>& tensors,
               const std::vector<const std::byte*>& places) {
    for (size_t i = 0; i < tensors.size(); ++i) {
        if (std::memcmp(places[i], tensors[i]->data.data(), tensors[i]->data.size()) != 0) {
            return false;
        }
    }
    return true;
}

TEST(ResidentWeights, tensors_in_any_order_have_the_bytes_of_their_files_cold_or_cached) {
    for (const char* name : {"v2_lite", "v3_fp8"}) {
        const CopiedModel model(name);
        ThreadPool pool(2);
        for (uint64_t seed = 0; seed < 6; ++seed) {
            if (seed % 2 == 0) {
                model.make_cold();
            }
            const auto weights = std::move(ResidentWeights::create(model.checkpoint())).value();
            std::vector<const StoredTensor*> tensors = shuffled(model.checkpoint(), seed);
            if (seed >= 4) {  // file order: neighbours become one read
                std::sort(tensors.begin(), tensors.end());
            }
            std::vector<const std::byte*> places;
            for (const StoredTensor* tensor : tensors) {
                places.push_back(weights->place(*tensor));
                EXPECT_EQ(weights->place(*tensor), places.back());
            }
            double last = 0;
            const Status loaded = weights->load(pool, [&](double fraction) {
                EXPECT_GE(fraction, last);
                last = fraction;
            });
            ASSERT_TRUE(loaded.ok()) << loaded.error().message;
            EXPECT_DOUBLE_EQ(last, 1.0);
            EXPECT_TRUE(all_equal(tensors, places)) << name << " " << seed;
        }
    }
}

TEST(ResidentWeights, only_what_is_placed_is_read) {
    const CopiedModel model("v2_lite");
    ThreadPool pool(1);
    const auto weights = std::move(ResidentWeights::create(model.checkpoint())).value();
    const StoredTensor& tensor = model.checkpoint().tensors()[3];
    const std::byte* place = weights->place(tensor);
    ASSERT_TRUE(weights->load(pool, {}).ok());
    EXPECT_EQ(std::memcmp(place, tensor.data.data(), tensor.data.size()), 0);
    EXPECT_LE(weights->n_bytes(), tensor.data.size() + 2 * kDirectAlignment);
}

TEST(ResidentWeights, scales_have_their_numbers_and_those_of_no_file_stay_where_they_are) {
    const CopiedModel model("v3_fp8");
    ThreadPool pool(2);
    const auto weights = std::move(ResidentWeights::create(model.checkpoint())).value();
    std::vector<std::pair<const StoredTensor*, const float*>> placed;
    for (const StoredTensor& tensor : model.checkpoint().tensors()) {
        if (tensor.scales != nullptr) {
            placed.emplace_back(&tensor, weights->place_scales(tensor));
            EXPECT_EQ(weights->place_scales(tensor), placed.back().second);
            EXPECT_EQ(placed.back().second == tensor.scales, tensor.scales_file.empty())
                << "only what the checkpoint owns stays there";
        }
    }
    ASSERT_FALSE(placed.empty());
    ASSERT_TRUE(weights->load(pool, {}).ok());
    for (const auto& [tensor, scales] : placed) {
        const auto n = static_cast<size_t>((tensor->shape.rows() + 127) / 128 *
                                           ((tensor->shape.cols() + 127) / 128));
        EXPECT_EQ(std::memcmp(scales, tensor->scales, n * sizeof(float)), 0) << tensor->name;
    }
}

TEST(ResidentWeights, a_small_tensor_is_read_at_once_and_a_lost_file_is_named) {
    const CopiedModel model("v2_lite");
    const auto weights = std::move(ResidentWeights::create(model.checkpoint())).value();
    for (const StoredTensor& tensor : model.checkpoint().tensors()) {
        std::vector<std::byte> bytes(tensor.data.size());
        ASSERT_TRUE(weights->read(tensor, bytes).ok());
        EXPECT_EQ(std::memcmp(bytes.data(), tensor.data.data(), bytes.size()), 0) << tensor.name;
    }
    const auto late = std::move(ResidentWeights::create(model.checkpoint())).value();
    fs::remove(model.first_file());
    std::vector<std::byte> bytes(model.checkpoint().tensors().front().data.size());
    const Status read = late->read(model.checkpoint().tensors().front(), bytes);
    ASSERT_FALSE(read.ok());
    EXPECT_THAT(read.error().message, testing::HasSubstr(model.first_file()));
}

TEST(ResidentWeights, a_file_cut_short_since_it_was_opened_is_an_error_that_names_it) {
    const CopiedModel model("v2_lite");
    ThreadPool pool(1);
    const auto weights = std::move(ResidentWeights::create(model.checkpoint())).value();
    for (const StoredTensor& tensor : model.checkpoint().tensors()) {
        weights->place(tensor);
    }
    fs::resize_file(model.first_file(), 20'000);
    const Status loaded = weights->load(pool, {});
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, ErrorCode::kIo);
    EXPECT_THAT(loaded.error().message, testing::HasSubstr(model.first_file()));
}

}  // namespace
}  // namespace nereus
