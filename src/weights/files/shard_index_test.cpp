// The pieces the file kinds share: the index of shards, checked sizes and layouts, a cursor over
// untrusted bytes, the journal of an unfinished pack.

#include "weights/files/shard_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "weights/files/byte_reader.h"
#include "weights/files/pack_journal.h"
#include "weights/files/printable.h"
#include "weights/files/tensor_layout.h"
#include "weights/files/testing.h"

namespace nereus {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace nereus::testing;

// ---- the index

TEST(ShardIndex, shards_are_numbered_in_the_order_of_their_names) {
    const auto index = parse_shard_index(
        R"({"metadata": {"total_size": 5}, "weight_map":
            {"a": "m-2.safetensors", "b": "m-1.safetensors", "c": "m-2.safetensors"}})",
        "i.json");
    ASSERT_TRUE(index.ok()) << index.error().message;
    EXPECT_THAT(index->shards, ElementsAre("m-1.safetensors", "m-2.safetensors"));
    ASSERT_EQ(index->places.size(), 3U);
    EXPECT_EQ(index->places[0].shard, 1U);
    EXPECT_EQ(index->places[1].shard, 0U);
    EXPECT_EQ(index->places[2].shard, 1U);
}

std::string index_error(const std::string& text) {
    const auto index = parse_shard_index(text, "i.json");
    return index.ok() ? "parsed" : index.error().message;
}

TEST(ShardIndex, a_shard_cannot_be_named_outside_its_folder) {
    for (const char* name : {"../x", "/etc/passwd", "a/b", "a\\\\b", "", ".", "..", "a\\nb",
                             "a\\u007fb", "a\\u0000b"}) {
        const std::string error =
            index_error(fmt::format(R"({{"weight_map": {{"t": "{}"}}}})", name));
        EXPECT_THAT(error, AllOf(HasSubstr("i.json"), HasSubstr("tensor t"))) << name;
        EXPECT_EQ(error.find('\n'), std::string::npos);
    }
    EXPECT_EQ(index_error(R"({"weight_map": {"t": "..a"}})"), "parsed");
    EXPECT_EQ(index_error(R"({"weight_map": {"t": "é.safetensors"}})"), "parsed");
}

TEST(ShardIndex, what_is_no_map_of_names_is_refused) {
    EXPECT_THAT(index_error("{}"), HasSubstr("weight_map, found none"));
    EXPECT_THAT(index_error(R"({"weight_map": {}})"), HasSubstr("is empty"));
    EXPECT_THAT(index_error(R"({"weight_map": {"t": 3}})"), HasSubstr("found 3"));
    EXPECT_THAT(index_error(R"({"weight_map": {"t": null}})"), HasSubstr("tensor t"));
    EXPECT_NE(index_error(R"({"weight_map": []})"), "parsed");
    EXPECT_NE(index_error(R"({"weight_map": {"t": "x")"), "parsed");
    EXPECT_NE(index_error("[]"), "parsed");
    EXPECT_NE(index_error(""), "parsed");
}

TEST(ShardIndex, more_shards_than_any_model_has_are_refused) {
    const auto with_shards = [](int n) {
        std::string text = R"({"weight_map": {)";
        for (int i = 0; i < n; ++i) {
            text += fmt::format("{}\"t{}\": \"s{}\"", i == 0 ? "" : ", ", i, i);
        }
        return text + "}}";
    };
    EXPECT_EQ(index_error(with_shards(4096)), "parsed");
    EXPECT_THAT(index_error(with_shards(4097)), HasSubstr("more than 4096 shards"));
}

StoredTensor stored(const std::string& name, uint64_t offset, size_t n_bytes) {
    static const std::vector<std::byte> bytes(4096);
    StoredTensor tensor;
    tensor.name = name;
    tensor.file = "f";
    tensor.offset = offset;
    tensor.data = std::span(bytes).first(n_bytes);
    return tensor;
}

TEST(ShardIndex, every_tensor_must_be_in_the_shard_it_is_said_to_be_in) {
    ShardIndex index;
    index.file = "i.json";
    index.shards = {"s0", "s1"};
    index.places = {{"a", 0}, {"b", 1}};
    std::vector<std::vector<StoredTensor>> shards(2);
    shards[0] = {stored("a", 0, 4), stored("unlisted", 4, 4)};
    shards[1] = {stored("b", 0, 4)};
    EXPECT_TRUE(check_shard_index(index, shards).ok());
    std::swap(shards[0], shards[1]);
    EXPECT_THAT(check_shard_index(index, shards).error().message,
                AllOf(HasSubstr("tensor a"), HasSubstr("s0")));
    std::swap(shards[0], shards[1]);
    index.places.push_back({"a", 0});
    EXPECT_THAT(check_shard_index(index, shards).error().message,
                AllOf(HasSubstr("tensor a"), HasSubstr("twice")));
}

// ---- sizes and layout

Result<uint64_t> elements(std::vector<uint64_t> dims) { return checked_elements(dims, "f", "t"); }

TEST(CheckedElements, products_never_wrap_and_zeros_do_not_hide_huge_neighbours) {
    EXPECT_EQ(*elements({}), 1U);
    EXPECT_EQ(*elements({3, 4, 5}), 60U);
    EXPECT_EQ(*elements({0, 7}), 0U);
    EXPECT_EQ(*elements({1ULL << 28, 1ULL << 28}), 1ULL << 56);
    for (const auto& dims : std::vector<std::vector<uint64_t>>{{1ULL << 57},
                                                               {1ULL << 32, 1ULL << 32},
                                                               {UINT64_MAX, UINT64_MAX},
                                                               {0, 1ULL << 62},
                                                               {1ULL << 62, 0},
                                                               {3, UINT64_MAX / 3 + 1, 0}}) {
        const auto n = elements(dims);
        ASSERT_FALSE(n.ok()) << dims[0];
        EXPECT_THAT(n.error().message, AllOf(HasSubstr("f: tensor t"), HasSubstr("larger")));
    }
}

TEST(CheckedBytes, rows_must_be_whole_blocks) {
    const Format& format = format_of(FormatId::kQ4K);
    EXPECT_EQ(*checked_bytes(format, 512, 256, "f", "t"), 288U);
    EXPECT_EQ(*checked_bytes(format, 0, 256, "f", "t"), 0U);
    EXPECT_THAT(checked_bytes(format, 512, 128, "f", "t").error().message,
                AllOf(HasSubstr("rows of 128"), HasSubstr("256"), HasSubstr("q4_k")));
}

std::string layout_error(std::vector<StoredTensor> tensors, Gaps gaps, uint64_t begin = 0,
                         uint64_t end = 100) {
    const Status status = sort_and_check_layout(tensors, begin, end, gaps);
    return status.ok() ? "" : status.error().message;
}

TEST(Layout, tensors_may_come_in_any_order_and_touch) {
    EXPECT_EQ(layout_error({stored("b", 40, 60), stored("a", 0, 40)}, Gaps::kRefused), "");
    EXPECT_EQ(layout_error({}, Gaps::kRefused), "");
    EXPECT_EQ(
        layout_error({stored("e", 40, 0), stored("b", 40, 60), stored("a", 0, 40)}, Gaps::kRefused),
        "")
        << "an empty tensor is between any two";
}

TEST(Layout, overlaps_are_named_with_both_tensors_and_the_byte) {
    for (const Gaps gaps : {Gaps::kRefused, Gaps::kAllowed}) {
        EXPECT_THAT(layout_error({stored("a", 0, 41), stored("b", 40, 60)}, gaps),
                    AllOf(HasSubstr("tensor b at byte 40"), HasSubstr("a, which ends at byte 41")));
        EXPECT_THAT(layout_error({stored("a", 10, 20)}, gaps, 11), HasSubstr("the header"));
        EXPECT_NE(layout_error({stored("a", 0, 50), stored("b", 0, 50)}, gaps), "");
    }
}

TEST(Layout, gaps_are_refused_only_where_they_may_not_be) {
    const std::vector<StoredTensor> gap = {stored("a", 0, 40), stored("b", 41, 59)};
    EXPECT_EQ(layout_error(gap, Gaps::kAllowed), "");
    EXPECT_THAT(layout_error(gap, Gaps::kRefused), HasSubstr("bytes 40 to 41 before tensor b"));
    const std::vector<StoredTensor> rest = {stored("a", 0, 99)};
    EXPECT_EQ(layout_error(rest, Gaps::kAllowed), "");
    EXPECT_THAT(layout_error(rest, Gaps::kRefused), AllOf(HasSubstr("byte 99"), HasSubstr("100")));
}

TEST(Layout, a_name_that_is_there_twice_is_found_across_files) {
    std::vector<StoredTensor> tensors = {stored("a", 0, 4), stored("b", 4, 4), stored("a", 8, 4)};
    tensors[2].file = "g";
    EXPECT_THAT(refuse_duplicates(tensors).error().message,
                AllOf(HasSubstr("g: tensor a at byte 8"), HasSubstr("first in f at byte 0")));
    tensors.pop_back();
    EXPECT_TRUE(refuse_duplicates(tensors).ok());
}

TEST(Printable, names_from_files_are_one_short_line_of_ascii) {
    EXPECT_EQ(printable("model.layers.0"), "model.layers.0");
    EXPECT_EQ(printable("a\nb\x1b[2J\x7f\xff"), "a?b?[2J??");
    EXPECT_EQ(printable(std::string(120, 'x')), std::string(120, 'x'));
    EXPECT_EQ(printable(std::string(121, 'x')), std::string(120, 'x') + "...");
}

// ---- the cursor

TEST(ByteReader, a_read_past_the_end_yields_nothing_and_moves_nothing) {
    const std::string bytes("\x01\x02\x03\x04\x05", 5);
    ByteReader reader(bytes_of(bytes));
    EXPECT_FALSE(reader.read<uint64_t>().has_value());
    EXPECT_EQ(reader.position(), 0U);
    EXPECT_EQ(reader.read<uint32_t>(), 0x04030201U);
    EXPECT_FALSE(reader.read<uint16_t>().has_value());
    EXPECT_EQ(reader.remaining(), 1U);
    EXPECT_FALSE(reader.take(UINT64_MAX).has_value());
    EXPECT_EQ(reader.read<uint8_t>(), 5U);
    EXPECT_TRUE(reader.take(0).has_value());
    EXPECT_FALSE(reader.read<uint8_t>().has_value());
}

TEST(ByteReader, a_string_that_is_not_whole_leaves_its_length_unread) {
    for (const uint64_t length : {uint64_t{4}, uint64_t{1} << 63, UINT64_MAX}) {
        std::string bytes;
        append(bytes, length);
        bytes += "abc";
        ByteReader reader(bytes_of(bytes));
        EXPECT_FALSE(reader.read_string().has_value());
        EXPECT_EQ(reader.position(), 0U);
        EXPECT_EQ(reader.read<uint64_t>(), length);
    }
    std::string bytes;
    append_text(bytes, std::string_view("a\0b", 3));
    append_text(bytes, "");
    ByteReader reader(bytes_of(bytes));
    EXPECT_EQ(reader.read_string(), std::string_view("a\0b", 3));
    EXPECT_EQ(reader.read_string(), "");
    EXPECT_EQ(reader.remaining(), 0U);
}

// ---- the journal

class Journal : public ::testing::Test {
  protected:
    std::vector<uint64_t> done(uint64_t plan = 7) {
        const auto journal = PackJournal::open(path_, plan);
        EXPECT_TRUE(journal.ok()) << journal.error().message;
        return journal.ok() ? journal->done() : std::vector<uint64_t>();
    }
    void add(const std::vector<uint64_t>& checksums) {
        auto journal = PackJournal::open(path_, 7);
        ASSERT_TRUE(journal.ok());
        ASSERT_TRUE(journal->add(checksums).ok());
    }

    TempFolder folder_;
    const std::filesystem::path path_ = folder_ / "pack.partial";
};

TEST_F(Journal, keeps_what_was_added_in_one_run_or_several) {
    EXPECT_THAT(done(), ElementsAre());
    add({1, UINT64_MAX});
    add({});
    add({3});
    EXPECT_THAT(done(), ElementsAre(1, UINT64_MAX, 3));
}

TEST_F(Journal, of_another_plan_is_refused_and_left_alone) {
    add({1});
    const std::string before = slurp(path_);
    const auto other = PackJournal::open(path_, 8);
    ASSERT_FALSE(other.ok());
    EXPECT_EQ(other.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(other.error().message, HasSubstr("another pack"));
    EXPECT_EQ(slurp(path_), before);
}

TEST_F(Journal, cut_at_any_byte_loses_only_the_lines_that_are_not_whole) {
    add({10, 11, 12});
    const std::string whole = slurp(path_);
    const size_t line = whole.size() / 4;
    for (size_t n = line; n <= whole.size(); ++n) {
        spill(path_, whole.substr(0, n));
        EXPECT_EQ(done().size(), n / line - 1) << n;
        EXPECT_EQ(slurp(path_), whole.substr(0, n / line * line)) << "what is torn is cut off";
    }
    spill(path_, whole.substr(0, line - 1));  // not even the plan: it begins anew
    EXPECT_THAT(done(9), ElementsAre());
}

TEST_F(Journal, a_line_with_any_byte_changed_ends_it_there) {
    add({10, 11});
    const std::string whole = slurp(path_);
    const size_t line = whole.size() / 3;
    for (size_t at = line; at < whole.size(); ++at) {
        std::string changed = whole;
        changed[at] = changed[at] == '7' ? '8' : '7';
        spill(path_, changed);
        EXPECT_EQ(done().size(), at / line - 1) << at;
    }
}

TEST_F(Journal, lines_in_another_order_are_not_believed) {
    add({10, 11});
    const std::string whole = slurp(path_);
    const size_t line = whole.size() / 3;
    spill(path_, whole.substr(0, line) + whole.substr(2 * line) + whole.substr(line, line));
    EXPECT_THAT(done(), ElementsAre());
}

TEST_F(Journal, random_bytes_are_an_empty_journal) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
        std::string bytes;
        for (uint64_t i = 0; i < random_bits(seed, 1, 0) % 200; ++i) {
            bytes += static_cast<char>(random_bits(seed, 2, i));
        }
        spill(path_, bytes);
        EXPECT_THAT(done(), ElementsAre());
        add({seed});
        EXPECT_THAT(done(), ElementsAre(seed));
    }
}

}  // namespace
}  // namespace nereus
