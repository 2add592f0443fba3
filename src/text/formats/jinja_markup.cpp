#include "text/formats/jinja_markup.h"

#include "text/formats/jinja_filters.h"
#include "text/formats/jinja_text_functions.h"

namespace nereus::jinja {
namespace {

Result<Value> escape_items(const Value& value, Budget& budget) {
    const auto walked = NEREUS_TRY(iterate(value, budget));
    NEREUS_TRY(budget.spend_list(static_cast<int64_t>(walked->items.size())));
    std::vector<Value> items;
    for (const Value& item : walked->items) {
        items.push_back(NEREUS_TRY(escape_value(item, budget)));
    }
    return make_list(std::move(items));
}

/// Numbers stay what they are: a format may want them so.
Result<Value> escape_argument(const Value& value, MarkupRule rule, Budget& budget) {
    if (rule == MarkupRule::kEscapesItems) {
        return escape_items(value, budget);
    }
    const bool is_container = value.list() != nullptr || value.dict() != nullptr;
    return value.text() != nullptr || is_container ? escape_value(value, budget)
                                                   : Result<Value>(value);
}

}  // namespace

Result<Text> escape_html(const Text& text, Budget& budget) {
    static constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
        {"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}};
    Text out = text;
    for (const auto& [plain, entity] : kEntities) {
        const Text fresh(std::string(entity), text.trusted());
        out = NEREUS_TRY(replace_text(out, Text(std::string(plain), true), fresh, -1, budget));
    }
    return out;
}

Result<Value> escape_value(const Value& value, Budget& budget) {
    if (is_markup(value)) {
        return value;
    }
    return Value(
        NEREUS_TRY(escape_html(NEREUS_TRY(to_text(value, budget)), budget)).marked_as_html());
}

Result<Value> mark_html(const Value& value) {
    if (const Text* text = value.text()) {
        return Value(text->marked_as_html());
    }
    if (value.list() == nullptr) {
        return value;
    }
    std::vector<Value> items;
    for (const Value& item : value.list()->items) {
        items.push_back(NEREUS_TRY(mark_html(item)));
    }
    return make_list(std::move(items), value.list()->kind);
}

Result<Arguments> escape_arguments(const Arguments& arguments, MarkupRule rule, Budget& budget) {
    Arguments escaped;
    for (const Value& value : arguments.positional) {
        const bool stays = rule == MarkupRule::kEscapesLater && escaped.positional.empty();
        escaped.positional.push_back(stays ? value
                                           : NEREUS_TRY(escape_argument(value, rule, budget)));
    }
    for (const auto& [name, value] : arguments.named) {
        escaped.named.emplace_back(name, NEREUS_TRY(escape_argument(value, rule, budget)));
    }
    return escaped;
}

}  // namespace nereus::jinja
