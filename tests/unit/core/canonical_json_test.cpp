// Tests canonicalize() with valid, invalid, hostile and large documents.
#include "core/canonical_json.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/json_string.h"
#include "core/member_order.h"
#include "core/text_canonicalizer.h"
#include "replay.h"

namespace sealcast::core {
namespace {

using namespace std::string_literals;

std::string canonical(std::string_view json) {
  std::string out;
  canonicalize(json, out);
  return out;
}

// Returns the error message for a document, or "" if it is valid.
std::string problem(std::string_view json, Rules rules = Rules::rfc8785) {
  try {
    std::string out;
    canonicalize(json, out, rules);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid_json);
    return error.what();
  }
}

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(Canonicalize, AppendsToTheOutputAndAnErrorLeavesItUnchanged) {
  std::string out = "before ";
  canonicalize(" [ 1 , 2 ] ", out);
  EXPECT_EQ(out, "before [1,2]");
  EXPECT_THROW(canonicalize("[1,", out), Error);
  EXPECT_EQ(out, "before [1,2]");
}

TEST(Canonicalize, AnErrorNamesTheByteOffsetAndTheProblem) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "byte 0: unexpected end of text"},
      {"  ", "byte 2: unexpected end of text"},
      {"[1,]", "byte 3: expected a value"},
      {"[1 2]", "byte 3: expected a comma or ]"},
      {R"({"a":1 "b"})", "byte 7: expected a comma or }"},
      {R"({"a" 1})", "byte 5: expected a colon after a key"},
      {R"({a:1})", "byte 1: expected a key in double quotes"},
      {R"({"a":1,})", "byte 7: expected a key in double quotes"},
      {R"({"a")", "byte 4: unexpected end of text"},
      {"[1", "byte 2: unexpected end of text"},
      {"[1] x", "byte 4: unexpected text after the document"},
      {"\"abc", "byte 4: unterminated string"},
      {"\"a\nb\"", "byte 2: unescaped control character"},
      {"\"a\0b\""s, "byte 2: unescaped control character"},
      {R"("a\x")", "byte 2: invalid escape"},
      {R"("\u12G4")", "byte 5: expected four hex digits after \\u"},
      {R"("\ud800")", "byte 1: lone surrogate"},
      {R"("\udc00")", "byte 1: lone surrogate"},
      {R"("\ud800\u0041")", "byte 1: lone surrogate"},
      {R"("\ud800\ud800")", "byte 1: lone surrogate"},
      {R"({"\udead":1})", "byte 2: lone surrogate"},
      {"\"\xC0\x80\"", "byte 1: invalid UTF-8"},
      {"\"\xE0\x80\x80\"", "byte 1: invalid UTF-8"},
      {"\"\xED\xA0\x80\"", "byte 1: invalid UTF-8"},
      {"\"\xF0\x80\x80\x80\"", "byte 1: invalid UTF-8"},
      {"\"\xF4\x90\x80\x80\"", "byte 1: invalid UTF-8"},
      {"\"\xF5\x80\x80\x80\"", "byte 1: invalid UTF-8"},
      {"\"ok\x80\"", "byte 3: invalid UTF-8"},
      {"\"\xE2\x82", "byte 1: invalid UTF-8"},
      {R"({"a":1,"b":2,"a":3})", "byte 13: duplicate key"},
      {R"({"a":1,"\u0061":3})", "byte 7: duplicate key"},
      {R"([{"b":{"x":1,"y":2,"x":3}}])", "byte 19: duplicate key"},
      {"[1e400]", "byte 1: number is too large for a double"},
      {"-", "byte 1: expected a digit"},
      {"[01]", "byte 1: number has a leading zero"},
      {"[1.]", "byte 3: expected a digit after the decimal point"},
      {"[1e+]", "byte 4: expected a digit in the exponent"},
      {"nul", "byte 0: expected true, false or null"},
      {"\xEF\xBB\xBF[]", "byte 0: expected a value"},
  };
  for (const auto& [json, expected] : cases) EXPECT_EQ(problem(json), "invalid JSON at " + expected) << json;
}

TEST(Canonicalize, AnErrorNamesTheLaterOfTwoEqualKeysAmongMany) {
  std::string json = "{";
  for (int i = 0; i < 200; ++i) json += "\"" + std::to_string(1000 + i * 77 % 200) + "\":0,";
  const std::size_t later = json.size();
  for (int i = 0; i < 200; i += 40) {
    const std::string again = "\"" + std::to_string(1000 + i) + "\":1}";
    EXPECT_EQ(problem(json + again), "invalid JSON at byte " + std::to_string(later) + ": duplicate key");
  }
}

TEST(Canonicalize, KeysAreOrderedByUtf16CodeUnits) {
  // In UTF-16, U+10000 is D800 DC00. So U+10000 comes after U+D7FF and before U+E000 and U+FFFF. In UTF-8 it would come
  // last.
  EXPECT_EQ(canonical("{\"\xEF\xBF\xBF\":1,\"\xEE\x80\x80\":2,\"\xF0\x90\x80\x80\":3,\"\xED\x9F\xBF\":4}"),
            "{\"\xED\x9F\xBF\":4,\"\xF0\x90\x80\x80\":3,\"\xEE\x80\x80\":2,\"\xEF\xBF\xBF\":1}");
  EXPECT_EQ(canonical("{\"a\xEF\xBF\xBF\":1,\"a\xF4\x8F\xBF\xBF\":2,\"a\":3,\"\":4}"),
            "{\"\":4,\"a\":3,\"a\xF4\x8F\xBF\xBF\":2,\"a\xEF\xBF\xBF\":1}");
}

TEST(Canonicalize, KeysWithEscapesAreOrderedByTheirDecodedText) {
  EXPECT_EQ(canonical(R"({"b":1,"\u0061":2,"\"":3,"\\":4,"\n":5,"\/":6,"\u0000":7})"),
            R"({"\u0000":7,"\n":5,"\"":3,"/":6,"\\":4,"a":2,"b":1})");
  EXPECT_EQ(canonical(R"({"z":{"\u0062":1,"\u0061":{"\u0064":1,"\u0063":2}},"\u0079":[{"\u0062":1,"a":2}]})"),
            R"({"y":[{"a":2,"b":1}],"z":{"a":{"c":2,"d":1},"b":1}})");
}

TEST(Canonicalize, OnlyNecessaryEscapesAreWritten) {
  EXPECT_EQ(canonical(R"("\u0000\u0001\b\t\n\u000b\f\r\u001f\u0020\"\\\/\u007f\u0080\u2028\ud83d\ude00")"),
            "\"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f \\\"\\\\/\x7F\xC2\x80\xE2\x80\xA8\xF0\x9F\x98\x80\"");
}

// The lengths cover all ways through the loops over vectors (16 bytes), words (8 bytes) and single bytes.
TEST(Canonicalize, ASpecialByteIsFoundAtEachPosition) {
  for (int length = 0; length < 70; ++length) {
    for (int place = 0; place < length; ++place) {
      const std::string head(static_cast<std::size_t>(place), 'x');
      const std::string tail(static_cast<std::size_t>(length - place - 1), 'y');
      EXPECT_EQ(canonical("\"" + head + "\\n" + tail + "\""), "\"" + head + "\\n" + tail + "\"");
      EXPECT_EQ(canonical("\"" + head + "\xC3\xA9" + tail + "\""), "\"" + head + "\xC3\xA9" + tail + "\"");
      EXPECT_NE(problem("\"" + head + "\x1F" + tail + "\""), "");
      EXPECT_NE(problem("\"" + head + "\"" + tail + "z\""), "");
      EXPECT_NE(problem("\"" + head + "\xFF" + tail + "\""), "");
    }
  }
}

TEST(Canonicalize, APayloadMustNotContainNulAndTheErrorNamesThePath) {
  const std::pair<std::string, std::string> cases[] = {
      {R"("a\u0000b")", R"(byte 2: $: U+0000 cannot be stored)"},
      {R"({"content":"a\u0000b"})", R"(byte 13: $["content"]: U+0000 cannot be stored)"},
      {R"({"a":{"x":1},"b":[0,[],{"c":null,"d":"\u0000"}]})", R"(byte 38: $["b"][2]["d"]: U+0000 cannot be stored)"},
      {R"({"a":1,"k\u0000":2})", R"(byte 9: $: a key contains U+0000, which cannot be stored)"},
      {R"([{"a":1},{"k\u0000":2}])", R"(byte 12: $[1]: a key contains U+0000, which cannot be stored)"},
  };
  for (const auto& [json, expected] : cases) {
    EXPECT_EQ(problem(json, Rules::payload), "invalid JSON at " + expected) << json;
    EXPECT_EQ(problem(json, Rules::envelope), "invalid JSON at " + expected) << json;
    EXPECT_EQ(problem(json), "") << json << ": RFC 8785 allows U+0000";
  }
  EXPECT_EQ(problem(R"({"a":"\u0001\\u0000"})", Rules::payload), "") << "a backslash before u0000 is text";
}

TEST(Canonicalize, TheEnvelopeAroundAPayloadIsOneLevelMore) {
  const auto nested = [](int depth) { return repeat("[", depth) + repeat("]", depth); };
  for (const Rules rules : {Rules::rfc8785, Rules::payload}) {
    EXPECT_EQ(problem(nested(128), rules), "");
    EXPECT_NE(problem(nested(129), rules), "");
  }
  EXPECT_EQ(problem(nested(129), Rules::envelope), "");
  EXPECT_EQ(problem(nested(130), Rules::envelope), "invalid JSON at byte 129: nesting is deeper than 128 levels");
}

TEST(Canonicalize, NestingBeyondTheLimitIsRefused) {
  EXPECT_EQ(problem(repeat("[", kMaxDepth) + repeat("]", kMaxDepth)), "");
  EXPECT_EQ(problem(repeat("{\"a\":", kMaxDepth) + "1" + repeat("}", kMaxDepth)), "");
  EXPECT_EQ(problem(repeat("[", kMaxDepth + 1) + repeat("]", kMaxDepth + 1)),
            "invalid JSON at byte 128: nesting is deeper than 128 levels");
  EXPECT_EQ(problem(std::string(1 << 20, '[')), "invalid JSON at byte 128: nesting is deeper than 128 levels");
}

TEST(Canonicalize, TheCancelFlagInterruptsIt) {
  const volatile int raised = 1;
  const volatile int lowered = 0;
  const std::string large_documents[] = {
      "\"" + std::string(3 * kPollBytes, 'x') + "\"",
      std::string(3 * kPollBytes, ' ') + "1",
      "[" + repeat("1,", 100'000) + "1]",
      "\"" + repeat("\\n", 100'000) + "\"",
      "\"" + repeat("\xC3\xA9", 100'000) + "\"",
  };
  for (const std::string& json : large_documents) {
    std::string out;
    EXPECT_NO_THROW(canonicalize(json, out, Rules::rfc8785, &lowered));
    try {
      canonicalize(json, out, Rules::rfc8785, &raised);
      ADD_FAILURE() << "not interrupted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::interrupted);
    }
  }
  std::vector<Member> members(100'000);
  Poll poll(&raised);
  EXPECT_THROW(sort_members(members, poll), Error);
}

class Timed {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Limit for each document of these tests. A quadratic algorithm would take minutes. The limit leaves time for
// sanitizers and a busy machine.
constexpr double kLinearSeconds = 20;

TEST(HostileDocument, ManyKeysTakeLinearTime) {
  constexpr int kKeys = 100'000;
  std::string shuffled = "{";
  std::string sorted = "{";
  for (int i = 0; i < kKeys; ++i) {
    const std::string ascending = std::to_string(1'000'000 + i);
    const std::string mixed = std::to_string(1'000'000 + static_cast<int>(i * 7919LL % kKeys));
    sorted += (i == 0 ? "\"" : ",\"") + ascending + "\":{}";
    shuffled += (i == 0 ? "\"" : ",\"") + mixed + "\":{}";
  }
  const Timed timed;
  EXPECT_EQ(canonical(shuffled + "}"), sorted + "}");
  EXPECT_EQ(canonical(sorted + "}"), sorted + "}");
  EXPECT_NE(problem(shuffled + ",\"1000000\":1}"), "");
  EXPECT_LT(timed.seconds(), kLinearSeconds);
}

TEST(HostileDocument, LongKeysThatDifferAtTheirEndTakeLinearTime) {
  std::string json = "{";
  for (int i = 3000; i > 0; --i) {
    json += "\"" + std::string(3000, 'k') + std::to_string(10'000 + i) + "\":1" + (i > 1 ? "," : "}");
  }
  const Timed timed;
  EXPECT_EQ(canonical(json).size(), json.size());
  EXPECT_LT(timed.seconds(), kLinearSeconds);
}

TEST(HostileDocument, ALargeStringInUnsortedObjectsTakesLinearTime) {
  std::string json = "\"" + std::string(4 << 20, 's') + "\"";
  json = repeat("{\"b\":", kMaxDepth) + json + repeat(",\"a\":1}", kMaxDepth);
  const Timed timed;
  EXPECT_TRUE(canonical(json).starts_with(R"({"a":1,"b":{"a":1,"b":)"));
  EXPECT_LT(timed.seconds(), kLinearSeconds);
}

TEST(HostileDocument, LargeScalarsTakeLinearTime) {
  const Timed timed;
  const std::string text = "\"" + std::string(10 << 20, 'x') + "\"";
  EXPECT_EQ(canonical(text), text);
  const std::string umlauts = "\"" + repeat("\xC3\xA4", 5 << 20) + "\"";
  EXPECT_EQ(canonical(umlauts), umlauts);
  EXPECT_EQ(canonical("\"" + repeat("\\u00e4", 1 << 20) + "\""), "\"" + repeat("\xC3\xA4", 1 << 20) + "\"");
  EXPECT_EQ(canonical("0." + std::string(1 << 20, '3')), "0.3333333333333333");
  EXPECT_NE(problem(std::string(1 << 20, '9')), "");
  EXPECT_EQ(canonical("1" + std::string(1 << 20, '0') + "e-1048576"), "1");
  EXPECT_LT(timed.seconds(), kLinearSeconds);
}

TEST(HostileDocument, NumbersMayBeLongerInCanonicalForm) {
  EXPECT_EQ(canonical("[" + repeat("1e20,", 100'000) + "1e-6]"),
            "[" + repeat("100000000000000000000,", 100'000) + "0.000001]");
}

TEST(ThreadScratch, IsEmptyAndSmallAfterALargeDocument) {
  std::string keys = "{";
  for (int i = 100'000; i > 0; --i) keys += "\"\\u0061" + std::to_string(i) + "\":1" + (i > 1 ? "," : "}");
  canonical(keys);
  EXPECT_NE(problem(keys + "x"), "");
  const ThreadScratch thread_scratch;
  const ParserScratch& scratch = *thread_scratch;
  EXPECT_TRUE(scratch.members.empty() && scratch.keys.empty() && scratch.moved.empty());
  EXPECT_LE(scratch.members.capacity() * sizeof(Member), 1U << 20);
  EXPECT_LE(scratch.keys.capacity(), 1U << 20);
  EXPECT_LE(scratch.moved.capacity(), 1U << 20);
}

// Makes random documents, and writes one document as several texts with the same canonical form.
class Documents {
 public:
  explicit Documents(std::uint64_t seed) : random_(seed) {}

  struct Node {
    enum Kind { kLiteral, kString, kArray, kObject } kind = kLiteral;
    std::string text;
    std::vector<std::pair<std::string, Node>> members;
  };

  Node node(int depth) {
    Node made;
    const int kind = static_cast<int>(below(depth > 0 ? 6 : 3));
    if (kind < 2) {
      static const char* const kLiterals[] = {"null",    "true", "false", "0",          "-12",
                                              "1.5e300", "0.1",  "1e20",  "12345678901"};
      made.text = kLiterals[below(std::size(kLiterals))];
    } else if (kind == 2) {
      made.kind = Node::kString;
      made.text = string();
    } else {
      made.kind = kind == 3 ? Node::kArray : Node::kObject;
      for (std::size_t left = below(7); left > 0; --left) {
        std::string key = string();
        const auto same = [&key](const auto& member) { return member.first == key; };
        if (std::any_of(made.members.begin(), made.members.end(), same)) continue;
        made.members.emplace_back(std::move(key), node(depth - 1));
      }
    }
    return made;
  }

  // Writes the members in random order, with random space and random escapes.
  std::string written(Node node) {
    const std::string before = space();
    std::string out = before;
    if (node.kind == Node::kLiteral) {
      out += node.text;
    } else if (node.kind == Node::kString) {
      out += quoted(node.text);
    } else {
      const bool object = node.kind == Node::kObject;
      if (object) std::shuffle(node.members.begin(), node.members.end(), random_);
      out += object ? '{' : '[';
      out += space();
      for (std::size_t i = 0; i < node.members.size(); ++i) {
        if (i > 0) out += ',';
        if (object) out += space() + quoted(node.members[i].first) + space() + ":";
        out += written(node.members[i].second);
      }
      out += object ? '}' : ']';
    }
    return out + space();
  }

 private:
  std::size_t below(std::size_t n) { return random_() % n; }

  std::string space() {
    static const char* const kSpaces[] = {"", "", "", " ", "\n\t", "\r\n  "};
    return kSpaces[below(std::size(kSpaces))];
  }

  unsigned code_point() {
    static const unsigned kNotable[] = {0,    8,     10,    0x1F,   '"',    '\\',   '/',     0x7F,
                                        0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF};
    if (below(3) != 0) return static_cast<unsigned>('a' + below(5));
    return kNotable[below(std::size(kNotable))];
  }

  std::string string() {
    std::string out;
    for (std::size_t left = below(below(8) == 0 ? 60 : 5); left > 0; --left) {
      char bytes[4];
      const unsigned c = code_point();
      if (c < 0x80) {
        out += static_cast<char>(c);
      } else {
        out.append(bytes, write_multibyte(c, bytes));
      }
    }
    return out;
  }

  std::string quoted(const std::string& utf8) {
    std::string plain;
    Fault fault;
    EXPECT_TRUE(append_json_string(utf8, plain, fault));
    std::string out;
    for (const char c : plain) {
      char escape[8];
      const bool letter = c >= 'a' && c <= 'e' && (out.empty() || out.back() != '\\') && !inside_escape(out);
      if (letter && below(6) == 0) {
        std::snprintf(escape, sizeof escape, below(2) != 0 ? "\\u%04x" : "\\u%04X", static_cast<unsigned>(c));
        out += escape;
      } else {
        out += c;
      }
    }
    return out;
  }

  // Returns whether `out` ends within the four digits of a \u escape.
  static bool inside_escape(const std::string& out) {
    for (std::size_t back = 1; back <= 5 && back < out.size(); ++back) {
      const std::size_t at = out.size() - back;
      if (out[at] == 'u' && out[at - 1] == '\\') {
        std::size_t backslashes = 0;
        while (at - 1 >= backslashes && out[at - 1 - backslashes] == '\\') ++backslashes;
        if (backslashes % 2 == 1 && back <= 4) return true;
      }
    }
    return false;
  }

  std::mt19937_64 random_;
};

TEST(Property, EachWayToWriteADocumentHasTheSameCanonicalForm) {
  Documents documents(2);
  for (int i = 0; i < 20'000; ++i) {
    const Documents::Node node = documents.node(4);
    const std::string one = documents.written(node);
    const std::string form = canonical(one);
    ASSERT_EQ(canonical(documents.written(node)), form);
    ASSERT_EQ(canonical(form), form);
    ASSERT_EQ(Replay().through_writer(form), form);
  }
}

std::u16string utf16(std::string_view utf8) {
  std::u16string out;
  for (std::size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    const int more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    unsigned c = more == 0 ? lead : lead & (0x3F >> more);
    for (int k = 1; k <= more; ++k)
      c = c << 6 | (static_cast<unsigned char>(utf8[i + static_cast<std::size_t>(k)]) & 0x3F);
    i += static_cast<std::size_t>(more) + 1;
    if (c >= 0x10000) {
      out += static_cast<char16_t>(0xD800 + ((c - 0x10000) >> 10));
      c = 0xDC00 + ((c - 0x10000) & 0x3FF);
    }
    out += static_cast<char16_t>(c);
  }
  return out;
}

TEST(Property, KeysCompareAsTheirUtf16Text) {
  std::mt19937_64 random(8785);
  const unsigned pool[] = {'a',    'b',    0x7F,   0x80,   0x7FF,   0x800,   0xD7FF,
                           0xE000, 0xEFFF, 0xF000, 0xFFFF, 0x10000, 0x10FFFF};
  const auto key = [&] {
    std::string text;
    for (std::size_t left = random() % 12; left > 0; --left) {
      const unsigned c = random() % 3 == 0 ? pool[random() % std::size(pool)] : 'a';
      char bytes[4];
      if (c < 0x80) {
        text += static_cast<char>(c);
      } else {
        text.append(bytes, write_multibyte(c, bytes));
      }
    }
    return text;
  };
  for (int i = 0; i < 200'000; ++i) {
    const std::string a = key();
    const std::string b = key();
    ASSERT_EQ(compare_keys(a, b), utf16(a) <=> utf16(b));
    std::vector<Member> members;
    add_member(members, a, 0, 0);
    add_member(members, b, 0, 1);
    ASSERT_EQ(compare_members(members[0], members[1]), utf16(a) <=> utf16(b));
  }
}

}  // namespace
}  // namespace sealcast::core
