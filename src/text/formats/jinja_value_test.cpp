// The values of the engine by themselves: truth, equality, order, what they hold, JSON.

#include "text/formats/jinja_value.h"

#include <gtest/gtest.h>

#include <cmath>

#include "text/formats/python_json.h"

namespace nereus::jinja {
namespace {

Value text(std::string_view bytes) { return Value::trusted(bytes); }
Value typed(const std::string& bytes) { return Value(Text(bytes, false)); }
Value list(std::vector<Value> items, ListKind kind = ListKind::kList) {
    return make_list(std::move(items), kind).value();
}
Value dict(std::vector<std::pair<Value, Value>> items) {
    Dict out;
    for (auto& [key, value] : items) {
        out.insert(key, value);
    }
    return make_dict(std::move(out)).value();
}
std::string printed(const Value& value) {
    Budget budget;
    return to_text(value, budget).value().bytes();
}

TEST(JinjaValue, truth_is_pythons) {
    for (const Value& value :
         {Value(), Value::none(), Value::boolean(false), Value::integer(0), Value::real(0.0),
          Value::real(-0.0), text(""), list({}), list({}, ListKind::kTuple), dict({}),
          list({}, ListKind::kRange), list({}, ListKind::kItems)}) {
        EXPECT_FALSE(value.truthy()) << value.type_name();
    }
    for (const Value& value : {Value::boolean(true), Value::integer(-1), Value::real(0.1),
                               Value::real(NAN), text(" "), text("False"), list({Value()}),
                               dict({{text("a"), Value()}}), list({}, ListKind::kIterator)}) {
        EXPECT_TRUE(value.truthy()) << value.type_name();
    }
}

TEST(JinjaValue, equality_looks_at_values_and_not_at_marks) {
    EXPECT_TRUE(equal(text("a"), typed("a")));
    EXPECT_TRUE(equal(Value::integer(1), Value::real(1)));
    EXPECT_TRUE(equal(Value::boolean(true), Value::integer(1)));
    EXPECT_FALSE(equal(text("1"), Value::integer(1)));
    EXPECT_FALSE(equal(Value::none(), Value()));
    EXPECT_FALSE(equal(Value::none(), Value::boolean(false)));
    EXPECT_FALSE(equal(Value::real(NAN), Value::real(NAN)));
    EXPECT_TRUE(equal(list({Value::integer(1)}), list({Value::real(1)})));
    EXPECT_FALSE(equal(list({}), list({}, ListKind::kTuple)));
    EXPECT_TRUE(equal(dict({{text("a"), Value::integer(1)}, {text("b"), Value::none()}}),
                      dict({{text("b"), Value::none()}, {text("a"), Value::integer(1)}})));
    EXPECT_FALSE(equal(dict({{text("a"), Value::integer(1)}}), dict({{text("a"), text("1")}})));
    EXPECT_TRUE(equal(Value::integer(INT64_MAX), Value::integer(INT64_MAX)));
    EXPECT_FALSE(equal(Value::integer(INT64_MAX), Value::integer(INT64_MAX - 1)));
}

TEST(JinjaValue, order_is_for_numbers_texts_and_lists_of_them) {
    const auto before = [](const Value& a, const Value& b) {
        const auto result = less(a, b);
        return !result.ok() ? "error" : *result ? "yes" : "no";
    };
    EXPECT_STREQ(before(Value::integer(1), Value::real(1.5)), "yes");
    EXPECT_STREQ(before(Value::boolean(false), Value::integer(1)), "yes");
    EXPECT_STREQ(before(text("a"), text("b")), "yes");
    EXPECT_STREQ(before(text("z"), text("é")), "yes");
    EXPECT_STREQ(before(text("\uffff"), text("\U00010000")), "yes");
    EXPECT_STREQ(before(list({Value::integer(1)}), list({Value::integer(1), Value::none()})),
                 "yes");
    EXPECT_STREQ(before(list({text("b")}), list({text("a"), text("c")})), "no");
    EXPECT_STREQ(before(Value::real(NAN), Value::integer(1)), "no");
    EXPECT_STREQ(before(text("a"), Value::integer(1)), "error");
    EXPECT_STREQ(before(Value::none(), Value::none()), "error");
    EXPECT_STREQ(before(dict({}), dict({})), "error");
    EXPECT_STREQ(before(list({}), list({}, ListKind::kTuple)), "error");
    EXPECT_STREQ(before(list({}, ListKind::kIterator), list({}, ListKind::kIterator)), "error");
    EXPECT_STREQ(before(list({Value::none()}), list({text("a")})), "error");
}

TEST(JinjaValue, a_container_knows_its_levels_weight_and_marks) {
    EXPECT_EQ(list({}).extent().depth, 1);
    EXPECT_EQ(list({list({}), text("a")}).extent().depth, 2);
    EXPECT_EQ(dict({{text("a"), list({list({})})}}).extent().depth, 3);
    EXPECT_TRUE(list({text("a")}).extent().trusted);
    EXPECT_FALSE(list({text("a"), list({typed("b")})}).extent().trusted);
    EXPECT_FALSE(dict({{typed("k"), Value::none()}}).extent().trusted);
    EXPECT_EQ(text(std::string(1000, 'x')).extent().weight, 1000 / 256 + 1);
    EXPECT_EQ(list({text("a"), text("b")}).extent().weight, 3);
    Value shared = list({Value::none()});
    for (int i = 0; i < 60; ++i) {
        shared = list({shared, shared});
    }
    EXPECT_GT(shared.extent().weight, kStepsMax);
}

TEST(JinjaValue, levels_end_at_the_limit) {
    Value nested = list({});
    for (int i = 1; i < kValueDepthMax; ++i) {
        nested = list({nested});
    }
    EXPECT_EQ(nested.extent().depth, kValueDepthMax);
    EXPECT_FALSE(make_list({nested}).ok());
    Dict over;
    over.insert(text("a"), nested);
    EXPECT_EQ(make_dict(std::move(over)).error().code, ErrorCode::kOverloaded);
}

TEST(JinjaValue, a_dict_keeps_order_and_holds_equal_keys_once) {
    Dict items;
    items.insert(text("b"), Value::integer(1));
    items.insert(Value::integer(1), Value::integer(2));
    items.insert(text("b"), Value::integer(3));
    items.insert(Value::real(1.0), Value::integer(4));
    items.insert(Value::boolean(true), Value::integer(5));
    items.insert(text("1"), Value::integer(6));
    EXPECT_EQ(printed(make_dict(items).value()), "{'b': 3, 1: 5, '1': 6}");
    EXPECT_EQ(items.find(text("nope")), nullptr);
    EXPECT_EQ(items.find(Value::none()), nullptr);
    EXPECT_EQ(*items.find("b")->as_integer(), 3);
}

TEST(JinjaValue, each_kind_prints_as_python_prints_it) {
    const std::vector<Value> items = {Value::integer(1), text("a")};
    EXPECT_EQ(printed(list(items)), "[1, 'a']");
    EXPECT_EQ(printed(list(items, ListKind::kTuple)), "(1, 'a')");
    EXPECT_EQ(printed(list({Value::none()}, ListKind::kTuple)), "(None,)");
    EXPECT_EQ(printed(list(items, ListKind::kGroup)), "(1, 'a')");
    EXPECT_EQ(printed(list(items, ListKind::kKeys)), "dict_keys([1, 'a'])");
    EXPECT_EQ(printed(list(items, ListKind::kValues)), "dict_values([1, 'a'])");
    EXPECT_EQ(printed(list({}, ListKind::kItems)), "dict_items([])");
    EXPECT_EQ(printed(list(items, ListKind::kIterator)), "<generator object>");
    EXPECT_EQ(printed(list({}, ListKind::kRange)), "range(0, 0)");
    EXPECT_EQ(printed(list({Value::integer(4), Value::integer(2)}, ListKind::kRange)),
              "range(4, 0, -2)");
    EXPECT_EQ(printed(list({Value(), Value::boolean(true), Value::real(1)})),
              "[Undefined, True, 1.0]");
    EXPECT_EQ(printed(Value()), "");
    EXPECT_EQ(printed(text("it's")), "it's");
}

TEST(JinjaValue, json_comes_in_and_goes_out_unchanged) {
    const std::string source =
        R"({"a": [1, 2.5, true, null, "é"], "b": {"c": []}, "big": 9223372036854775807})";
    const Json json = parse_json(source, "test").value();
    Budget budget;
    const Value value = value_from_json(json, Trust::kNone).value();
    EXPECT_FALSE(value.extent().trusted);
    EXPECT_EQ(python_json(json_from_value(value, budget).value()), source);
    EXPECT_TRUE(value_from_json(json, Trust::kAll)->extent().trusted);
    EXPECT_EQ(
        printed(
            value_from_json(parse_json("18446744073709551615", "t").value(), Trust::kAll).value()),
        "1.8446744073709552e+19");
}

TEST(JinjaValue, keys_of_json_are_written_as_json_writes_them) {
    Budget budget;
    const Value value = dict({{Value::integer(1), Value::none()},
                              {Value::none(), Value::none()},
                              {Value::real(1.5), Value::none()},
                              {Value::boolean(false), Value::none()}});
    EXPECT_EQ(python_json(json_from_value(value, budget).value()),
              R"({"1": null, "null": null, "1.5": null, "false": null})");
    for (const Value& wrong : {Value(), list({Value()}), list({}, ListKind::kIterator),
                               list({}, ListKind::kRange), list({}, ListKind::kItems)}) {
        EXPECT_FALSE(json_from_value(wrong, budget).ok()) << wrong.type_name();
    }
}

TEST(PythonJson, every_style_of_json_dumps) {
    const Json json = parse_json(R"({"b": [1, {"é": "世🙂"}], "a": {}, "c": []})", "test").value();
    JsonStyle style;
    EXPECT_EQ(python_json(json, style), R"({"b": [1, {"é": "世🙂"}], "a": {}, "c": []})");
    style.sort_keys = true;
    style.ensure_ascii = true;
    EXPECT_EQ(python_json(json, style),
              R"({"a": {}, "b": [1, {"\u00e9": "\u4e16\ud83d\ude42"}], "c": []})");
    style = {"\t", ",", ":", false, false};
    EXPECT_EQ(
        python_json(json, style),
        "{\n\t\"b\":[\n\t\t1,\n\t\t{\n\t\t\t\"é\":\"世🙂\"\n\t\t}\n\t],\n\t\"a\":{},\n\t\"c\":[]"
        "\n}");
    style = {"", ",", ": ", false, false};
    EXPECT_EQ(python_json(parse_json("[1,2]", "t").value(), style), "[\n1,\n2\n]");
    style = {std::nullopt, ", ", ": ", true, false};
    EXPECT_EQ(python_json(Json("\x7f\x1f~"), style), R"("\u007f\u001f~")");
}

}  // namespace
}  // namespace nereus::jinja
