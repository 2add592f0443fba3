// What a pack takes along: the small files of a folder byte for byte, or a GGUF's header as a file
// of its own that says the same.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "base/rng.h"
#include "weights/files/gguf_header.h"
#include "weights/files/testing.h"
#include "weights/pack.h"

namespace nereus {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using namespace nereus::testing;

/// The header of these bytes, written out alone.
std::string header_of(const std::string& bytes) {
    const auto gguf = read_gguf(bytes_of(bytes), "t");
    EXPECT_TRUE(gguf.ok()) << gguf.error().message;
    return gguf.ok() ? gguf->metadata->as_file() : std::string();
}

/// One value of every type, with the ends of its range.
GgufBuilder every_type() {
    GgufBuilder builder;
    builder.scalar("u8", 0, uint8_t{255})
        .scalar("i8", 1, int8_t{-128})
        .scalar("u16", 2, uint16_t{65535})
        .scalar("i16", 3, int16_t{-32768})
        .scalar("u32", 4, uint32_t{4294967295})
        .scalar("i32", 5, int32_t{INT32_MIN})
        .scalar("f32", 6, 0.1F)
        .scalar("yes", 7, uint8_t{1})
        .scalar("u64", 10, uint64_t{1} << 40)
        .scalar("i64", 11, INT64_MIN)
        .scalar("f64", 12, 0.1)
        .text("text", "a\n\"b\" 世界")
        .text("empty", "")
        .texts("texts", {"x", "", "yy"})
        .texts("no texts", {});
    std::string numbers;
    for (const float value : {1.5F, -2.0F, 1e30F}) {
        append(numbers, value);
    }
    return builder.array("numbers", 6, 3, numbers);
}

TEST(GgufHeader, written_alone_says_the_same) {
    const std::string alone = header_of(every_type().build());
    const auto gguf = read_gguf(bytes_of(alone), "alone");
    ASSERT_TRUE(gguf.ok()) << gguf.error().message;
    EXPECT_TRUE(gguf->tensors.empty());
    const GgufMetadata& values = *gguf->metadata;
    const std::pair<const char*, int64_t> kIntegers[] = {{"u8", 255},
                                                         {"i8", -128},
                                                         {"u16", 65535},
                                                         {"i16", -32768},
                                                         {"u32", 4294967295},
                                                         {"i32", INT32_MIN},
                                                         {"u64", int64_t{1} << 40},
                                                         {"i64", INT64_MIN},
                                                         {"yes", 1}};
    for (const auto& [key, value] : kIntegers) {
        EXPECT_EQ(values.integer(key), value) << key;
    }
    EXPECT_EQ(values.number("f32"), static_cast<double>(0.1F));
    EXPECT_EQ(values.number("f64"), 0.1);
    EXPECT_EQ(values.string("text"), "a\n\"b\" 世界");
    EXPECT_EQ(values.string("empty"), "");
    EXPECT_THAT(values.strings("texts"), ElementsAre("x", "", "yy"));
    EXPECT_THAT(values.strings("no texts"), ElementsAre());
    EXPECT_THAT(values.numbers("numbers"), ElementsAre(1.5, -2.0, static_cast<double>(1e30F)));
}

TEST(GgufHeader, written_alone_a_second_time_is_the_same_bytes) {
    const std::string once = header_of(every_type().build());
    EXPECT_EQ(header_of(once), once);
}

TEST(GgufHeader, does_not_depend_on_the_order_of_its_keys_nor_on_the_tensors) {
    std::vector<std::string> keys;
    for (int i = 0; i < 20; ++i) {
        keys.push_back("key." + std::to_string(i));
    }
    const auto with_order = [&](uint64_t seed, bool with_tensor) {
        std::vector<std::string> order = keys;
        for (size_t i = order.size() - 1; i > 0; --i) {
            std::swap(order[i], order[random_bits(seed, 1, i) % (i + 1)]);
        }
        GgufBuilder builder;
        for (const std::string& key : order) {
            builder.text(key, "value of " + key);
        }
        if (with_tensor) {
            builder.tensor("t", {8}, 0, 0);
        }
        return header_of(builder.build(with_tensor ? 32 : 0));
    };
    const std::string first = with_order(1, false);
    for (uint64_t seed = 2; seed < 8; ++seed) {
        EXPECT_EQ(with_order(seed, seed % 2 == 0), first);
    }
}

TEST(GgufHeader, of_a_part_of_a_split_model_is_no_part) {
    GgufBuilder builder;
    builder.text("general.architecture", "llama")
        .scalar("split.no", 2, uint16_t{0})
        .scalar("split.count", 2, uint16_t{3})
        .scalar("split.tensors.count", 5, int32_t{9});
    const std::string alone = header_of(builder.build());
    const auto gguf = read_gguf(bytes_of(alone), "alone");
    ASSERT_TRUE(gguf.ok()) << gguf.error().message;
    EXPECT_EQ(gguf->metadata->string("general.architecture"), "llama");
    for (const char* key : {"split.no", "split.count", "split.tensors.count"}) {
        EXPECT_FALSE(gguf->metadata->contains(key)) << key;
    }
}

/// A folder that opens, with these files beside its one tensor.
class CopiesOfFolder : public ::testing::Test {
  protected:
    CopiesOfFolder() {
        add("config.json", R"({"model_type": "qwen2"})");
        add("model.safetensors",
            safetensors_file(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
    }
    void add(const std::string& name, const std::string& text) { spill(folder_ / name, text); }
    Result<std::map<std::string, std::string>> copies() {
        const auto checkpoint = open_checkpoint(folder_.path());
        EXPECT_TRUE(checkpoint.ok()) << checkpoint.error().message;
        std::map<std::string, std::string> found;
        for (const PackCopy& copy : NEREUS_TRY(files_to_copy(**checkpoint))) {
            found[copy.name] = copy.bytes;
        }
        return found;
    }
    TempFolder folder_;
};

TEST_F(CopiesOfFolder, are_what_a_tokenizer_and_a_chat_need_byte_for_byte) {
    const std::string odd("\0\xff\r\n", 4);
    for (const char* name : {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
                             "special_tokens_map.json", "LICENSE"}) {
        add(name, std::string(name) + odd);
    }
    add("generation_config.json", "{}");
    const auto found = copies();
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found->size(), 7U);
    EXPECT_EQ(found->at("config.json"), R"({"model_type": "qwen2"})");
    EXPECT_EQ(found->at("tokenizer.json"), "tokenizer.json" + odd);
}

TEST_F(CopiesOfFolder, leave_out_weights_and_everything_unknown) {
    add("README.md", "long");
    add("pytorch_model.bin", "weights");
    add("notes.txt", "private");
    const auto found = copies();
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found->size(), 1U);
    EXPECT_TRUE(found->contains("config.json"));
}

TEST_F(CopiesOfFolder, what_is_no_regular_file_is_an_error_that_names_it) {
    fs::create_directory(folder_ / "tokenizer.json");
    auto found = copies();
    ASSERT_FALSE(found.ok());
    EXPECT_THAT(found.error().message, ::testing::HasSubstr("tokenizer.json"));
    fs::remove(folder_ / "tokenizer.json");
    ASSERT_EQ(::mkfifo((folder_ / "LICENSE").c_str(), 0600), 0);
    found = copies();
    ASSERT_FALSE(found.ok());
    EXPECT_THAT(found.error().message, ::testing::HasSubstr("LICENSE"));
}

}  // namespace
}  // namespace nereus
