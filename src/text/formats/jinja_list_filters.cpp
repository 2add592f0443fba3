#include "text/formats/jinja_list_filters.h"

#include <algorithm>
#include <bit>
#include <list>

#include "text/formats/jinja_access.h"
#include "text/formats/jinja_operators.h"
#include "text/formats/jinja_tests.h"
#include "text/formats/jinja_text_functions.h"

namespace nereus::jinja {
namespace {

/// attribute="a.b.0": item after item; the fallback (if any) stands in for what is undefined.
Result<Value> follow_path(Value value, const Value& path, Budget& budget,
                          const Value* fallback = nullptr) {
    const Text name = NEREUS_TRY(to_text(path, budget));
    const auto parts = NEREUS_TRY(split_text(name, Text(".", true), -1, budget));
    for (const Value& part : parts) {
        const std::string& word = part.text()->bytes();
        const bool is_index =
            !word.empty() && word.size() < 10 &&
            std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
        const Value key = is_index ? Value::integer(std::stoll(word)) : part;
        value = NEREUS_TRY(item_of(value, key, budget));
        if (value.is_undefined() && fallback != nullptr) {
            value = *fallback;
        }
    }
    return value;
}

/// What an item is compared by: itself or its attribute, without case unless asked.
Result<Value> key_of(const Value& item, const Value* attribute, bool case_sensitive, Budget& budget,
                     const Value* fallback = nullptr) {
    NEREUS_TRY(budget.spend());
    Value key = item;
    if (attribute != nullptr && !attribute->is_none()) {
        key = NEREUS_TRY(follow_path(item, *attribute, budget, fallback));
    }
    if (key.text() != nullptr && !case_sensitive) {
        NEREUS_TRY(budget.spend_text(key.text()->size()));
        return Value(change_letters(*key.text(), Letters::kLower));
    }
    return key;
}

struct Keyed {
    Value key;
    Value item;
};

/// Stable. Fails on the first pair that has no order.
Status sort_keyed(std::vector<Keyed>& items, bool reverse, Budget& budget) {
    int64_t weight = 0;
    for (const Keyed& item : items) {
        weight += item.key.extent().weight;
    }
    // Every key takes part in about log2(n) comparisons of a merge sort.
    NEREUS_TRY(budget.spend(std::min(weight, kStepsMax) *
                            static_cast<int64_t>(std::bit_width(items.size()))));
    std::optional<Error> error;
    const auto before = [&](const Keyed& a, const Keyed& b) {
        const Result<bool> smaller = reverse ? less(b.key, a.key) : less(a.key, b.key);
        if (!smaller.ok() && !error) {
            error = smaller.error();
        }
        return smaller.ok() && *smaller;
    };
    // A list sorts stably by merging, which no inconsistent order (NaN, an error) can lead astray.
    std::list<Keyed> sorted(items.begin(), items.end());
    sorted.sort(before);
    items.assign(sorted.begin(), sorted.end());
    return error ? Status(*error) : Status();
}

Result<Value> keep_items(const std::vector<Keyed>& keyed, ListKind kind = ListKind::kList) {
    std::vector<Value> items;
    items.reserve(keyed.size());
    for (const Keyed& item : keyed) {
        items.push_back(item.item);
    }
    return make_list(std::move(items), kind);
}

/// Python walks backwards only what has places. errors: invalid_argument
Status check_reversible(const Value& input, std::string_view filter) {
    const bool forward_only = input.list() != nullptr && !input.list()->has_length();
    return forward_only
               ? Status(make_error(ErrorCode::kInvalidArgument, "{} of a generator", filter))
               : Status();
}

Arguments drop_first(const Arguments& arguments, size_t n) {
    Arguments rest = arguments;
    n = std::min(n, rest.positional.size());
    rest.positional.erase(rest.positional.begin(),
                          rest.positional.begin() + static_cast<std::ptrdiff_t>(n));
    return rest;
}

/// select, reject, selectattr and rejectattr: keep the items for which the test named at `at` (or
/// truth, without one) gives `wanted`.
Result<Value> keep_if(const Value& input, const Arguments& arguments, bool by_attribute,
                      bool wanted, Budget& budget) {
    const size_t at = by_attribute ? 1 : 0;
    if (!input.truthy()) {  // Jinja does not look further, so none is as good as nothing
        return make_list({}, ListKind::kIterator);
    }
    const Test* test = nullptr;
    if (arguments.positional.size() > at) {
        const Text name = NEREUS_TRY(arguments.text(at, "test", ""));
        test = find_test(name.view());
        if (test == nullptr) {
            return make_error(ErrorCode::kUnsupported, "the test '{}' is not supported",
                              name.bytes());
        }
    }
    const Value path =
        by_attribute ? NEREUS_TRY(arguments.required(0, "attribute")) : Value::none();
    const Arguments test_arguments = drop_first(arguments, at + 1);
    std::vector<Value> kept;
    const auto items = NEREUS_TRY(iterate(input, budget));
    for (const Value& item : items->items) {
        NEREUS_TRY(budget.spend());
        const Value value = by_attribute ? NEREUS_TRY(follow_path(item, path, budget)) : item;
        const bool holds = test == nullptr ? value.truthy()
                                           : NEREUS_TRY(test->check(value, test_arguments, budget));
        if (holds == wanted) {
            kept.push_back(item);
        }
    }
    return make_list(std::move(kept), ListKind::kIterator);
}

Result<Value> extreme(const Value& input, const Arguments& arguments, bool largest,
                      Budget& budget) {
    const bool case_sensitive = arguments.truthy(0, "case_sensitive", false);
    const Value* attribute = arguments.find(1, "attribute");
    const auto items = NEREUS_TRY(iterate(input, budget));
    std::vector<Keyed> keyed;
    for (const Value& item : items->items) {
        keyed.push_back({NEREUS_TRY(key_of(item, attribute, case_sensitive, budget)), item});
    }
    NEREUS_TRY(sort_keyed(keyed, largest, budget));
    return keyed.empty() ? Value::undefined("the extreme of nothing") : keyed.front().item;
}

}  // namespace

Result<Value> filter_join(const Value& input, const Arguments& arguments, Budget& budget) {
    const Value* given = arguments.find(0, "d");
    const Text separator = given == nullptr ? Text() : NEREUS_TRY(to_text(*given, budget));
    const Value* attribute = arguments.find(1, "attribute");
    const auto items = NEREUS_TRY(iterate(input, budget));
    std::vector<Text> parts;
    for (const Value& item : items->items) {
        const Value part = attribute != nullptr && !attribute->is_none()
                               ? NEREUS_TRY(follow_path(item, *attribute, budget))
                               : item;
        parts.push_back(NEREUS_TRY(to_text(part, budget)));
    }
    return Value(NEREUS_TRY(join_texts(parts, separator, budget)));
}

Result<Value> filter_list(const Value& input, const Arguments&, Budget& budget) {
    return make_list(NEREUS_TRY(iterate(input, budget))->items);
}

Result<Value> filter_first(const Value& input, const Arguments&, Budget& budget) {
    const auto items = NEREUS_TRY(iterate(input, budget));
    return items->items.empty() ? Value::undefined("the first of nothing") : items->items.front();
}

Result<Value> filter_last(const Value& input, const Arguments&, Budget& budget) {
    NEREUS_TRY(check_reversible(input, "last"));
    const auto items = NEREUS_TRY(iterate(input, budget));
    return items->items.empty() ? Value::undefined("the last of nothing") : items->items.back();
}

Result<Value> filter_reverse(const Value& input, const Arguments&, Budget& budget) {
    if (input.text() != nullptr) {
        return slice_of(input, Value::none(), Value::none(), Value::integer(-1), budget);
    }
    std::vector<Value> items = NEREUS_TRY(iterate(input, budget))->items;
    std::reverse(items.begin(), items.end());
    return make_list(std::move(items), ListKind::kIterator);
}

Result<Value> filter_map(const Value& input, const Arguments& arguments, Budget& budget) {
    if (!input.truthy()) {
        return make_list({}, ListKind::kIterator);
    }
    const Value* attribute = arguments.find(SIZE_MAX, "attribute");
    const Value* fallback = arguments.find(SIZE_MAX, "default");
    const Filter* filter = nullptr;
    if (attribute == nullptr) {
        NEREUS_TRY(arguments.required(0, "filter"));
        const Text name = NEREUS_TRY(arguments.text(0, "filter", ""));
        filter = find_filter(name.view());
        if (filter == nullptr || filter->run == filter_map) {
            return make_error(ErrorCode::kUnsupported, "the filter '{}' inside map", name.bytes());
        }
    }
    NEREUS_TRY(check_arguments("map", filter != nullptr ? "* **" : "attribute? default?",
                               filter != nullptr ? arguments : Arguments{{}, arguments.named}));
    const Arguments rest = drop_first(arguments, 1);
    std::vector<Value> mapped;
    const auto items = NEREUS_TRY(iterate(input, budget));
    for (const Value& item : items->items) {
        NEREUS_TRY(budget.spend());
        mapped.push_back(NEREUS_TRY(filter != nullptr
                                        ? filter->apply(item, rest, budget)
                                        : follow_path(item, *attribute, budget, fallback)));
    }
    return make_list(std::move(mapped), ListKind::kIterator);
}

Result<Value> filter_select(const Value& input, const Arguments& arguments, Budget& budget) {
    return keep_if(input, arguments, false, true, budget);
}
Result<Value> filter_reject(const Value& input, const Arguments& arguments, Budget& budget) {
    return keep_if(input, arguments, false, false, budget);
}
Result<Value> filter_selectattr(const Value& input, const Arguments& arguments, Budget& budget) {
    return keep_if(input, arguments, true, true, budget);
}
Result<Value> filter_rejectattr(const Value& input, const Arguments& arguments, Budget& budget) {
    return keep_if(input, arguments, true, false, budget);
}

Result<Value> filter_sort(const Value& input, const Arguments& arguments, Budget& budget) {
    const bool reverse = arguments.truthy(0, "reverse", false);
    const bool case_sensitive = arguments.truthy(1, "case_sensitive", false);
    const Value* attribute = arguments.find(2, "attribute");
    const auto items = NEREUS_TRY(iterate(input, budget));
    std::vector<Keyed> keyed;
    for (const Value& item : items->items) {
        keyed.push_back({NEREUS_TRY(key_of(item, attribute, case_sensitive, budget)), item});
    }
    NEREUS_TRY(sort_keyed(keyed, reverse, budget));
    return keep_items(keyed);
}

Result<Value> filter_dictsort(const Value& input, const Arguments& arguments, Budget& budget) {
    if (input.dict() == nullptr) {
        return make_error(ErrorCode::kInvalidArgument, "dictsort sorts a dict, not {}",
                          input.type_name());
    }
    const bool case_sensitive = arguments.truthy(0, "case_sensitive", false);
    const Text by = NEREUS_TRY(arguments.text(1, "by", "key"));
    if (by.bytes() != "key" && by.bytes() != "value") {
        return make_error(ErrorCode::kInvalidArgument,
                          "dictsort sorts by 'key' or 'value', not by '{}'", by.bytes());
    }
    const bool reverse = arguments.truthy(2, "reverse", false);
    std::vector<Keyed> keyed;
    for (const auto& [key, value] : input.dict()->items) {
        const Value& sorted = by.bytes() == "value" ? value : key;
        keyed.push_back({NEREUS_TRY(key_of(sorted, nullptr, case_sensitive, budget)),
                         NEREUS_TRY(make_list({key, value}, ListKind::kTuple))});
    }
    NEREUS_TRY(sort_keyed(keyed, reverse, budget));
    return keep_items(keyed);
}

/// Neighbours with one key, after a sort by it; each group is (key of its first item, items).
Result<Value> filter_groupby(const Value& input, const Arguments& arguments, Budget& budget) {
    const Value attribute = NEREUS_TRY(arguments.required(0, "attribute"));
    const Value* fallback = arguments.find_given(1, "default");
    const bool case_sensitive = arguments.truthy(2, "case_sensitive", false);
    const auto items = NEREUS_TRY(iterate(input, budget));
    std::vector<Keyed> keyed;
    for (const Value& item : items->items) {
        keyed.push_back(
            {NEREUS_TRY(key_of(item, &attribute, case_sensitive, budget, fallback)), item});
    }
    NEREUS_TRY(sort_keyed(keyed, false, budget));
    std::vector<Value> groups;
    for (size_t begin = 0; begin < keyed.size();) {
        size_t end = begin;
        std::vector<Value> group;
        while (end < keyed.size() &&
               NEREUS_TRY(apply_comparison("==", keyed[begin].key, keyed[end].key, budget))) {
            group.push_back(keyed[end++].item);
        }
        if (end == begin) {  // a key that is not equal to itself: NaN
            group.push_back(keyed[end++].item);
        }
        Value key = NEREUS_TRY(key_of(keyed[begin].item, &attribute, true, budget, fallback));
        Value members = NEREUS_TRY(make_list(std::move(group)));
        groups.push_back(
            NEREUS_TRY(make_list({std::move(key), std::move(members)}, ListKind::kGroup)));
        begin = end;
    }
    return make_list(std::move(groups));
}

Result<Value> filter_batch(const Value& input, const Arguments& arguments, Budget& budget) {
    const int64_t size = NEREUS_TRY(arguments.integer(0, "linecount", 0));
    const Value* fill = arguments.find_given(1, "fill_with");
    const auto items = NEREUS_TRY(iterate(input, budget));
    std::vector<Value> batches;
    std::vector<Value> batch;
    for (const Value& item : items->items) {
        NEREUS_TRY(budget.spend());
        if (static_cast<int64_t>(batch.size()) == size) {
            batches.push_back(NEREUS_TRY(make_list(std::exchange(batch, {}))));
        }
        batch.push_back(item);
    }
    if (!batch.empty()) {
        if (fill != nullptr && static_cast<int64_t>(batch.size()) < size) {
            NEREUS_TRY(budget.spend_list(size));
            batch.resize(static_cast<size_t>(size), *fill);
        }
        batches.push_back(NEREUS_TRY(make_list(std::move(batch))));
    }
    return make_list(std::move(batches), ListKind::kIterator);
}

/// The items in `slices` lists of about one length, the longer ones first.
Result<Value> filter_slice(const Value& input, const Arguments& arguments, Budget& budget) {
    const int64_t n_slices = NEREUS_TRY(arguments.integer(0, "slices", 0));
    const Value* fill = arguments.find_given(1, "fill_with");
    const auto items = NEREUS_TRY(iterate(input, budget));
    if (n_slices == 0) {
        return make_error(ErrorCode::kInvalidArgument, "slice into 0 lists");
    }
    NEREUS_TRY(budget.spend_list(std::max<int64_t>(n_slices, 0)));
    NEREUS_TRY(budget.spend_list(static_cast<int64_t>(items->items.size())));
    const auto n_items = static_cast<int64_t>(items->items.size());
    std::vector<Value> slices;
    auto next = items->items.begin();
    for (int64_t i = 0; i < n_slices; ++i) {
        const bool is_longer = i < n_items % n_slices;
        const auto end =
            next + static_cast<std::ptrdiff_t>(n_items / n_slices + (is_longer ? 1 : 0));
        std::vector<Value> slice(next, end);
        if (fill != nullptr && !is_longer) {
            slice.push_back(*fill);
        }
        slices.push_back(NEREUS_TRY(make_list(std::move(slice))));
        next = end;
    }
    return make_list(std::move(slices), ListKind::kIterator);
}

Result<Value> filter_unique(const Value& input, const Arguments& arguments, Budget& budget) {
    const bool case_sensitive = arguments.truthy(0, "case_sensitive", false);
    const Value* attribute = arguments.find(1, "attribute");
    const auto items = NEREUS_TRY(iterate(input, budget));
    std::vector<Keyed> kept;
    Dict seen;
    for (const Value& item : items->items) {
        const Value key = NEREUS_TRY(key_of(item, attribute, case_sensitive, budget));
        if (key.list() != nullptr || key.dict() != nullptr) {
            return make_error(ErrorCode::kInvalidArgument, "unique of {} items", key.type_name());
        }
        if (seen.find(key) == nullptr) {
            seen.insert(key, Value::none());
            kept.push_back({key, item});
        }
    }
    return keep_items(kept, ListKind::kIterator);
}

Result<Value> filter_sum(const Value& input, const Arguments& arguments, Budget& budget) {
    const Value* attribute = arguments.find(0, "attribute");
    const Value* start = arguments.find(1, "start");
    Value total = start != nullptr ? *start : Value::integer(0);
    const auto items = NEREUS_TRY(iterate(input, budget));
    for (const Value& item : items->items) {
        const Value key = NEREUS_TRY(key_of(item, attribute, true, budget));
        total = NEREUS_TRY(apply_arithmetic("+", total, key, budget));
    }
    return total;
}

Result<Value> filter_min(const Value& input, const Arguments& arguments, Budget& budget) {
    return extreme(input, arguments, false, budget);
}
Result<Value> filter_max(const Value& input, const Arguments& arguments, Budget& budget) {
    return extreme(input, arguments, true, budget);
}

}  // namespace nereus::jinja
