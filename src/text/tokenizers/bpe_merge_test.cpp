#include "text/tokenizers/bpe_merge.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace nereus {
namespace {

std::vector<Symbol> symbols_of(const std::vector<int32_t>& ids) {
    std::vector<Symbol> symbols;
    for (const int32_t id : ids) {
        symbols.push_back({id, static_cast<uint32_t>(symbols.size()), 1});
    }
    return symbols;
}

std::vector<int32_t> ids_of(const std::vector<Symbol>& symbols) {
    std::vector<int32_t> ids;
    for (const Symbol& symbol : symbols) {
        ids.push_back(symbol.id);
    }
    return ids;
}

/// The definition: as long as there is a pair, merge the leftmost of the best.
std::vector<int32_t> merge_by_definition(std::vector<int32_t> ids, const MergeTable& merges) {
    while (true) {
        size_t best = ids.size();
        for (size_t i = 0; i + 1 < ids.size(); ++i) {
            const auto here = merges.find(ids[i], ids[i + 1]);
            if (here && (best == ids.size() ||
                         here->priority < merges.find(ids[best], ids[best + 1])->priority)) {
                best = i;
            }
        }
        if (best == ids.size()) {
            return ids;
        }
        ids[best] = merges.find(ids[best], ids[best + 1])->result;
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
}

/// Over four letters, 60 merges of tokens that exist already; every result is a new token.
MergeTable random_merges(uint64_t seed) {
    MergeTable merges;
    for (uint32_t i = 0; i < 60; ++i) {
        const auto pick = [&](uint64_t stream) {
            return static_cast<int32_t>(random_bits(seed, stream, i) % (4 + i));
        };
        const int32_t left = pick(1);
        const int32_t right = pick(2);
        if (!merges.find(left, right)) {
            merges.set(left, right, {i, static_cast<int32_t>(4 + i)});
        }
    }
    return merges;
}

TEST(BpeMerge, ScanAndHeapGiveWhatTheDefinitionGives) {
    for (uint64_t seed = 0; seed < 300; ++seed) {
        const MergeTable merges = random_merges(seed);
        const auto lookup = [&](const Symbol& left, const Symbol& right) {
            return merges.find(left.id, right.id);
        };
        std::vector<int32_t> ids(1 + random_bits(seed, 3, 0) % bpe::kScanMax);
        for (size_t i = 0; i < ids.size(); ++i) {
            ids[i] = static_cast<int32_t>(random_bits(seed, 4, i) % 4);
        }
        const std::vector<int32_t> expected = merge_by_definition(ids, merges);
        std::vector<Symbol> scanned = symbols_of(ids);
        bpe::merge_by_scan(scanned, lookup);
        EXPECT_EQ(ids_of(scanned), expected) << "seed " << seed;
        std::vector<Symbol> heaped = symbols_of(ids);
        bpe::HeapMerger(heaped, lookup).run();
        EXPECT_EQ(ids_of(heaped), expected) << "seed " << seed;
    }
}

TEST(BpeMerge, SizesOfSymbolsAddUpToThePiece) {
    const MergeTable merges = random_merges(7);
    std::vector<Symbol> symbols = symbols_of(std::vector<int32_t>(1000, 1));
    merge_symbols(symbols, [&](const Symbol& left, const Symbol& right) {
        return merges.find(left.id, right.id);
    });
    uint32_t at = 0;
    for (const Symbol& symbol : symbols) {
        EXPECT_EQ(symbol.begin, at);
        at += symbol.size;
    }
    EXPECT_EQ(at, 1000U);
}

TEST(MergeTable, FindsWhatWasSetAndNothingElse) {
    MergeTable merges;
    EXPECT_FALSE(merges.find(1, 2));
    for (int32_t i = 0; i < 5000; ++i) {
        merges.set(i, i + 1, {static_cast<uint32_t>(i), 2 * i});
    }
    EXPECT_EQ(merges.size(), 5000U);
    EXPECT_EQ(merges.find(4321, 4322)->result, 8642);
    EXPECT_FALSE(merges.find(4322, 4321));
    EXPECT_FALSE(merges.find(-1, -1));
    merges.set(1, 2, {9, 9});
    EXPECT_EQ(merges.size(), 5000U);
    EXPECT_EQ(merges.find(1, 2)->priority, 9U);
}

}  // namespace
}  // namespace nereus
