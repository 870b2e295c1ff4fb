// Tests where the fast paths end: the paths for blocks of bytes, for sorted objects, and for numbers that are already
// canonical.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "core/canonical_json.h"
#include "core/error.h"
#include "core/member_order.h"

namespace sealcast::core {
namespace {

constexpr std::size_t kPositions = 40;  // more than two vectors (16 bytes) and a word (8 bytes)

std::string canonical(std::string_view json) {
  std::string out;
  canonicalize(json, out);
  return out;
}

std::string through_writer(std::string_view utf8) {
  std::string out;
  CanonicalWriter writer(out);
  writer.string(utf8);
  return out;
}

TEST(FastPath, ASpecialCharacterIsHandledAtEachPosition) {
  const struct {
    const char* utf8;
    const char* canonical;
  } characters[] = {{"\"", "\\\""},
                    {"\\", "\\\\"},
                    {"\n", "\\n"},
                    {"\x1F", "\\u001f"},
                    {"\x7F", "\x7F"},
                    {"\xC3\xA9", "\xC3\xA9"},
                    {"\xE2\x82\xAC", "\xE2\x82\xAC"},
                    {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"}};
  for (const auto& character : characters) {
    for (std::size_t before = 0; before < kPositions; ++before) {
      for (const std::size_t after : {0, 1, 7, 15, 16, 31}) {
        const std::string left(before, 'l');
        const std::string right(after, 'r');
        const std::string expected = '"' + left + character.canonical + right + '"';
        ASSERT_EQ(canonical(expected), expected);
        ASSERT_EQ(canonical("{" + expected + ":1}"), "{" + expected + ":1}");
        ASSERT_EQ(through_writer(left + character.utf8 + right), expected);
      }
    }
  }
}

TEST(FastPath, AnInvalidByteIsReportedAtEachPosition) {
  for (std::size_t before = 0; before < kPositions; ++before) {
    for (const char* bad : {"\x1F", "\xFF", "\xC3", "\xE2\x82", "\xED\xA0\x80", "\xC3\xA9\x80"}) {
      const std::string left(before, 'l');
      const std::size_t offset = 1 + before + (std::string_view(bad) == "\xC3\xA9\x80" ? 2 : 0);
      try {
        canonical('"' + left + bad + "rrrrrrrrrrrrrrrrrr\"");
        ADD_FAILURE() << "an invalid byte was accepted at " << before;
      } catch (const Error& error) {
        EXPECT_EQ(std::string(error.what()).find("invalid JSON at byte " + std::to_string(offset) + ":"), 0U)
            << error.what();
      }
      if (bad[0] != '\x1F') {
        EXPECT_THROW(through_writer(left + bad), Error);
      }
    }
  }
}

// Returns `count` sorted keys. Some differ in the first eight bytes, some after them, some only in length, some in
// characters beyond ASCII.
std::vector<std::string> keys(std::size_t count) {
  std::vector<std::string> all = {"",
                                  "a",
                                  std::string("a\0", 2),
                                  "ab",
                                  "abcdefg",
                                  "abcdefgh",
                                  "abcdefgi",
                                  "\xEF\xBF\xBD",
                                  "\xF0\x9F\x98\x80",
                                  "abcdefg\xEF\xBF\xBD",
                                  "abcdefg\xF0\x9F\x98\x80"};
  for (int i = 0; all.size() < count; ++i) all.push_back("abcdefgh" + std::to_string(i));
  all.resize(count);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return compare_keys(a, b) < 0; });
  return all;
}

std::string object(const std::vector<std::string>& keys) {
  std::string out = "{";
  for (const std::string& key : keys) {
    if (out.size() > 1) out += ',';
    std::string quoted = through_writer(key);
    out += quoted + ":[" + quoted + "]";
  }
  return out + "}";
}

std::string written_object(const std::vector<std::string>& keys) {
  std::string out;
  CanonicalWriter writer(out);
  writer.begin_object();
  for (const std::string& key : keys) {
    writer.key(key);
    writer.begin_array();
    writer.string(key);
    writer.end_array();
  }
  writer.end_object();
  return out;
}

TEST(FastPath, MembersInAnyOrderAndNumberAreSorted) {
  std::mt19937 random(7);
  for (std::size_t count = 0; count < 45; ++count) {
    std::vector<std::string> order = keys(count);
    const std::string expected = object(order);
    const auto check = [&] {
      ASSERT_EQ(canonical(object(order)), expected);
      ASSERT_EQ(written_object(order), expected);
    };
    check();
    std::reverse(order.begin(), order.end());
    check();
    for (int i = 0; i < 10; ++i) {
      std::shuffle(order.begin(), order.end(), random);
      check();
    }
    if (count == 0) continue;
    // Adds a duplicate of each key in turn.
    for (const std::string& duplicate : std::vector<std::string>(order)) {
      order.push_back(duplicate);
      EXPECT_THROW(canonical(object(order)), Error);
      EXPECT_THROW(written_object(order), Error);
      order.pop_back();
    }
  }
}

TEST(FastPath, MembersOfEachLengthMoveCompletely) {
  for (std::size_t size = 0; size < 600; ++size) {
    const std::string a = "\"a\":\"" + std::string(size, 'x') + "\"";
    const std::string b = "\"b\":\"" + std::string(600 - size, 'y') + "\"";
    ASSERT_EQ(canonical("{" + b + "," + a + "}"), "{" + a + "," + b + "}");
  }
}

TEST(FastPath, ALiteralBecomesTheLiteralOfTheNearestDouble) {
  std::vector<std::string> literals = {"0",    "-0",       "0.0",       "-0.0",      "1.0",   "0.1",
                                       "-0.5", "0.000001", "0.0000001", "0.0000012", "0.1e1", "1e0",
                                       "1E5",  "10.50",    "100",       "-17",       "0.10"};
  for (const char* digits : {"123456789012345", "1234567890123456", "99999999999999999999999999999999999999"}) {
    const std::string all(digits);
    literals.push_back(all);
    for (std::size_t point = 1; point < all.size(); ++point) {
      literals.push_back(all.substr(0, point) + "." + all.substr(point));
      literals.push_back("-0." + all.substr(point));
    }
  }
  for (const std::string& literal : literals) {
    std::string expected;
    append_number(std::strtod(literal.c_str(), nullptr), expected);
    EXPECT_EQ(canonical(literal), expected) << literal;
    EXPECT_EQ(canonical("[" + literal + "]"), "[" + expected + "]");
    std::string out;
    CanonicalWriter writer(out);
    writer.number(literal);
    EXPECT_EQ(out, expected);
  }
  for (const char* bad : {"01", "-01", "-", "1.", "1.e1", ".5", "00", "1e", "-.5", "1.5.2", "1-"}) {
    EXPECT_THROW(canonical(bad), Error) << bad;
    EXPECT_THROW(canonical("[" + std::string(bad) + "]"), Error) << bad;
  }
}

TEST(FastPath, AnIntegerIsWrittenAsItsDigits) {
  for (const std::int64_t value : {0LL, 7LL, -7LL, 999'999'999'999'999LL, -999'999'999'999'999LL}) {
    std::string out;
    CanonicalWriter writer(out);
    writer.begin_array();
    for (int i = 0; i < 100; ++i) writer.integer(value);
    writer.end_array();
    EXPECT_EQ(canonical(out), out);
    EXPECT_EQ(out.substr(1, out.find(',') - 1), std::to_string(value));
  }
}

}  // namespace
}  // namespace sealcast::core
