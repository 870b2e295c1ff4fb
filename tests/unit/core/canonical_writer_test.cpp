// Tests CanonicalWriter where it differs from canonicalize(): the order of calls, and errors that name the path.
#include <gtest/gtest.h>

#include <string>

#include "core/canonical_json.h"
#include "core/error.h"

namespace sealcast::core {
namespace {

template <typename Events>
std::string written(Events events) {
  std::string out = ">";
  CanonicalWriter writer(out);
  events(writer);
  return out.substr(1);
}

template <typename Events>
std::string problem(Events events) {
  try {
    written(events);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid_json);
    return error.what();
  }
}

TEST(CanonicalWriter, EachObjectIsSorted) {
  EXPECT_EQ(written([](CanonicalWriter& w) {
              w.begin_object();
              w.key("b");
              w.begin_array();
              w.number("1.50");
              w.begin_object();
              w.end_object();
              w.begin_array();
              w.end_array();
              w.end_array();
              w.key("a\n");
              w.begin_object();
              w.key("y");
              w.boolean(true);
              w.key("x");
              w.null();
              w.end_object();
              w.key("");
              w.string("q\"\\\x01/\xC3\xA4");
              w.end_object();
            }),
            "{\"\":\"q\\\"\\\\\\u0001/\xC3\xA4\",\"a\\n\":{\"x\":null,\"y\":true},\"b\":[1.5,{},[]]}");
}

TEST(CanonicalWriter, AScalarIsADocument) {
  EXPECT_EQ(written([](CanonicalWriter& w) { w.number("-0.000"); }), "0");
  EXPECT_EQ(written([](CanonicalWriter& w) { w.boolean(false); }), "false");
  EXPECT_EQ(written([](CanonicalWriter& w) { w.string(std::string(1000, '\x02')); }).size(), 6002U);
}

TEST(CanonicalWriter, AnErrorNamesThePath) {
  EXPECT_EQ(problem([](CanonicalWriter& w) {
              w.begin_object();
              w.key("ok");
              w.null();
              w.key("a\"");
              w.begin_array();
              w.null();
              w.begin_object();
              w.key("n");
              w.number("1e400");
            }),
            "invalid JSON at $[\"a\\\"\"][1][\"n\"]: number is too large for a double");
  EXPECT_EQ(problem([](CanonicalWriter& w) { w.string("\xFF"); }), "invalid JSON at $: invalid UTF-8");
  EXPECT_EQ(problem([](CanonicalWriter& w) { w.number("NaN"); }), "invalid JSON at $: expected a digit");
  EXPECT_EQ(problem([](CanonicalWriter& w) { w.number("1x"); }), "invalid JSON at $: not a JSON number");
  EXPECT_EQ(problem([](CanonicalWriter& w) { w.number(""); }), "invalid JSON at $: not a JSON number");
  EXPECT_EQ(problem([](CanonicalWriter& w) {
              w.begin_object();
              w.key("x");
              w.begin_object();
              for (const char* key : {"k", "a", "k"}) {
                w.key(key);
                w.null();
              }
              w.end_object();
            }),
            "invalid JSON at $[\"x\"]: duplicate key \"k\"");
  EXPECT_NE(problem([](CanonicalWriter& w) {
              for (int i = 0; i <= kMaxDepth; ++i) w.begin_array();
            }),
            "");
}

TEST(CanonicalWriter, APayloadMustNotContainNul) {
  using namespace std::string_view_literals;
  for (const bool in_key : {false, true}) {
    std::string out;
    CanonicalWriter writer(out, Rules::payload);
    writer.begin_object();
    writer.key("a");
    writer.begin_array();
    try {
      if (in_key) writer.begin_object();
      in_key ? writer.key("k\0"sv) : writer.string("a\0b"sv);
      FAIL();
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), in_key ? R"(invalid JSON at $["a"][0]: a key contains U+0000, which cannot be stored)"
                                        : R"(invalid JSON at $["a"][0]: U+0000 cannot be stored)");
    }
  }
}

TEST(CanonicalWriter, InexactNumbersAreRefusedInAPayload) {
  std::string out;
  CanonicalWriter writer(out, Rules::payload);
  writer.begin_array();
  writer.number("9007199254740992");
  EXPECT_THROW(writer.number("9007199254740993"), Error);
}

TEST(CanonicalWriter, TheCancelFlagInterruptsASort) {
  const volatile int raised = 1;
  std::string out;
  CanonicalWriter writer(out, Rules::rfc8785, &raised);
  std::vector<std::string> keys;
  for (int i = 0; i < 20'000; ++i) keys.push_back(std::to_string(100'000 - i));
  writer.begin_object();
  for (const std::string& key : keys) {
    writer.key(key);
    writer.null();
  }
  EXPECT_THROW(writer.end_object(), Error);
}

}  // namespace
}  // namespace sealcast::core
