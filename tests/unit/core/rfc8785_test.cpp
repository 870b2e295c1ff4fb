// Tests the documents that RFC 8785 and its reference implementation publish with their canonical forms.
#include <gtest/gtest.h>

#include <string>

#include "core/canonical_json.h"
#include "core/digest.h"

namespace sealcast::core {
namespace {

struct Published {
  const char* name;
  const char* input;
  const char* canonical;
};

// Source: RFC 8785 §3.2.2 to §3.2.4 and cyberphone/json-canonicalization, testdata/.
constexpr Published kPublished[] = {
    {"arrays", R"([
  56,
  {
    "d": true,
    "10": null,
    "1": [ ]
  }
])",
     R"([56,{"1":[],"10":null,"d":true}])"},
    {"french", R"({
  "peach": "This sorting order",
  "péché": "is wrong according to French",
  "pêche": "but canonicalization MUST",
  "sin":   "ingnore locale"
})",
     R"({"peach":"This sorting order","péché":"is wrong according to French",)"
     R"("pêche":"but canonicalization MUST","sin":"ingnore locale"})"},
    {"structures", R"({
  "1": {"f": {"f": "hi","F": 5} ,"\n": 56.0},
  "10": { },
  "": "empty",
  "a": { },
  "111": [ {"e": "yes","E": "no" } ],
  "A": { }
})",
     R"({"":"empty","1":{"\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}})"},
    {"unicode", R"({
  "Unnormalized Unicode":"A\u030a"
})",
     "{\"Unnormalized Unicode\":\"A\xCC\x8A\"}"},
    {"values", R"({
  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
})",
     "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
     "\"string\":\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"},
    {"weird", R"({
  "\u20ac": "Euro Sign",
  "\r": "Carriage Return",
  "\u000a": "Newline",
  "1": "One",
  "\u0080": "Control\u007f",
  "\ud83d\ude02": "Smiley",
  "\u00f6": "Latin Small Letter O With Diaeresis",
  "\ufb33": "Hebrew Letter Dalet With Dagesh",
  "</script>": "Browser Challenge"
})",
     "{\"\\n\":\"Newline\",\"\\r\":\"Carriage Return\",\"1\":\"One\",\"</script>\":\"Browser Challenge\","
     "\"\xC2\x80\":\"Control\x7F\",\"\xC3\xB6\":\"Latin Small Letter O With Diaeresis\",\"\xE2\x82\xAC\":\"Euro Sign\","
     "\"\xF0\x9F\x98\x82\":\"Smiley\",\"\xEF\xAC\xB3\":\"Hebrew Letter Dalet With Dagesh\"}"},
};

TEST(Rfc8785, EachPublishedDocumentHasItsPublishedForm) {
  for (const Published& each : kPublished) {
    std::string out;
    canonicalize(each.input, out);
    EXPECT_EQ(out, each.canonical) << each.name;
    std::string again;
    canonicalize(out, again);
    EXPECT_EQ(again, out) << each.name;
  }
}

TEST(KnownAnswers, ThePayloadHashOfADocumentedPayload) {
  std::string out;
  canonicalize(R"({"content": "hello", "type": "chat"})", out);
  EXPECT_EQ(out, R"({"content":"hello","type":"chat"})");
  EXPECT_EQ(to_hex(sha256(out)), "17cf87dd7df38f177282a8341058a4b1384fda337e2b3820099e7481e85e2e09");
}

// The original specification states this hash for the payload above. But it is the hash of the text hello alone.
TEST(KnownAnswers, TheHashInTheOriginalSpecificationIsTheHashOfHello) {
  EXPECT_EQ(to_hex(sha256("hello")), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
}

}  // namespace
}  // namespace sealcast::core
