// Tests the rules about text: the length in characters, links with their evasions, and emoji.
#include "core/terms/text_rules.h"

#include <gtest/gtest.h>

#include "core/terms/review.h"

namespace sealcast::core::terms {
namespace {

bool has_link(std::string_view text) {
  static Folder folder;
  static const Links links(folder);
  static Text reader;
  reader.assign(text, folder);
  return links.in(reader.unmarked().bytes());
}

TEST(Links, AreFound) {
  for (const char* text : {
           "https://example.org",
           "see http://x",
           "FTP://A",
           "steam://run/1",
           "look:http://1.2.3.4/",
           "www.example",
           "(www.a)",
           "example.com",
           "EXAMPLE.COM!",
           "go to example.com.",
           "a.b.c.example.co.uk/path",
           "me@example.com",
           "example.com:8080",
           "example.com.",
           "example.com/x?y",
           "t.me/group",
           "goo.gl/abc",
           "youtu.be/abc",
           "x.so?y",
           "x.so:80",
           "example.com.evil",
           "\"example.net\"",
           "xn--e1afmkfd.xn--p1ai",
           "a.xn--90ais",
           "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444",  // пример.рф
           "\u4f8b\u5b50.\u4e2d\u56fd",                          // 例子.中国
           "\u4f8b\u5b50\u3002\u4e2d\u56fd",                     // with an ideographic full stop
           "b\u00fccher.de",
           "a_b-c.com",
           "example.com\u5f88\u597d",
           "example.com\U0001f44d",
           "\U0001f44d.ws",
       }) {
    EXPECT_TRUE(has_link(text)) << text;
  }
}

TEST(Links, AreFoundBehindEvasions) {
  for (const char* text : {
           "exam\u200bple.c\u200dom",  // zero-width characters
           "example\u2060.\u2060com",  //
           "example.c\u00adom",        // a soft hyphen
           "example.c\u043em",         // Cyrillic o
           "example\uff0ecom",         // a full-width full stop
           "example\u2024com",         // a one dot leader
           "example\uff61com",         // a half-width ideographic full stop
           "\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.\uff43\uff4f\uff4d",
           "\U0001d41e\U0001d431.\U0001d41c\U0001d428\U0001d426",  // mathematical letters
           "http\uff1a//evil",                                     // a full-width colon
           "http:\u2215\u2215evil",                                // division slashes
           "h\u0336t\u0336t\u0336p\u0336://evil", "w\u200bww.evil", "\u24e6\u24e6\u24e6.evil",
           "example.\u202ecom",  // a mark of direction
       }) {
    EXPECT_TRUE(has_link(text)) << text;
  }
}

TEST(Links, OrdinaryTextHasNone) {
  for (const char* text : {
           "",
           ".",
           "...",
           "hello",
           "hello.",
           "Hello.World",
           "ok.so what",
           "yes.no",
           "e.g. this",
           "3.14",
           "v1.2.3",
           "10.000",
           "a.m.",
           "node.js",
           "file.txt",
           "and/or",
           "12:30",
           "note: //",
           "http://",
           "http:// x",
           "://x",
           "com",
           ".com",
           "... com",
           "example. com",
           "example .com",
           "www",
           "www.",
           "www. x",
           "awww.so",
           "wait...what",
           "\u4f60\u597d\u3002\u5728\u5417",
           "http:/x",
           "a.comet",
           "u.s.a",
           "\u2014.\u2014",
           "1.2.3.4",
       }) {
    EXPECT_FALSE(has_link(text)) << text;
  }
}

TEST(Links, ALongTextIsSearchedOnce) {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += "a.b:";
  EXPECT_FALSE(has_link(text));
  EXPECT_FALSE(has_link(std::string(1'000'000, '.')));
  EXPECT_FALSE(has_link(std::string(1'000'000, 'w') + "." + std::string(1'000'000, 'a')));
  EXPECT_TRUE(has_link(text + " example.com"));
}

bool only_emotes(std::string_view text) {
  static Characters characters;
  return has_only_emotes(text, characters);
}

TEST(Emotes, AreEmojiNamesAndWhiteSpace) {
  for (const char* text : {
           "",
           " \n\u3000",
           "\U0001f600",
           "\U0001f600\U0001f44d\U0001f3fd",
           "\u2764\ufe0f",
           "\u2764",
           "1\ufe0f\u20e3",
           "\U0001f1e9\U0001f1ea",
           "\u00a9\ufe0f",
           ":heart:",
           ":heart::+1: :a_b-C9:",
           "\U0001f468\u200d\U0001f469\u200d\U0001f467",                              // a family
           "\U0001f3f3\u200d\U0001f308",                                              // without its variation selector
           "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  // England
           "\U0001f469\U0001f3fb\u200d\u2764\ufe0f\u200d\U0001f48b\u200d\U0001f468\U0001f3fb",
       }) {
    EXPECT_TRUE(only_emotes(text)) << text;
  }
  for (const char* text : {
           "a",
           "1",
           "#",
           "\u00a9",
           "\u2764 hi",
           "hi \u2764",
           ":",
           "::",
           ":heart",
           "heart:",
           ":a b:",
           ":h\u00e9:",
           ":heart:\u0301",
           "\u200b",
           "\u200d",
           "\ufe0f",
           "\U0001f1e9",
           "\U0001f1e9\U0001f600",
           "\u4f60",
           "\u2764\ufe0e",
           "\U0001f600\u0301",
           "\U0001f3f4\U000e0068\U000e0069\U000e007f",  // a flag that carries hidden letters
           "\U0001f468\u200d",
           "\U0001f468\u200da",
           "\xff",
       }) {
    EXPECT_FALSE(only_emotes(text)) << text;
  }
  EXPECT_TRUE(only_emotes(":" + std::string(64, 'a') + ":"));
  EXPECT_FALSE(only_emotes(":" + std::string(65, 'a') + ":"));
}

TEST(Characters, AreCountedAsReadersSeeThem) {
  Characters characters;
  EXPECT_EQ(characters.count("", 9), 0u);
  EXPECT_EQ(characters.count("abc\r\nd", 9), 5u);
  EXPECT_EQ(characters.count("e\u0301\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f1e9\U0001f1eax", 9), 4u);
  EXPECT_GT(characters.count("\u00e9\u00e9\u00e9", 2), 2u);
}

std::optional<TextRule> broken(const std::string& canonical, TextRules rules) {
  static Reviewer reviewer;
  Review out;
  rules.t = "chat";
  reviewer.review(canonical, "user_role", {}, out, nullptr, rules);
  EXPECT_FALSE(out.masked || out.refused_by);
  return out.broken;
}

TEST(TextRules, TheTextsOfAMessageCountTogether) {
  const TextRules five{.max_chars = 5};
  EXPECT_EQ(broken(R"({"a":"abc","b":["de"]})", five), std::nullopt);
  EXPECT_EQ(broken(R"({"a":"abc","b":["def"]})", five), TextRule::max_chars);
  EXPECT_EQ(broken(R"({"a":"\"\\\n\u0001x"})", five), std::nullopt) << "an escape is one character";
  EXPECT_EQ(broken(R"({"a":"\"\\\n\u0001xy"})", five), TextRule::max_chars);
  EXPECT_EQ(broken(R"({"abcdefghi":1})", five), std::nullopt) << "keys are no text";
  EXPECT_EQ(broken(R"({"content":"hello","type":"chat"})", five), std::nullopt);
  EXPECT_EQ(broken(R"({"content":"hello","type":"shout"})", five), TextRule::max_chars);
  EXPECT_EQ(broken(R"({"content":"hello","user_role":"vip"})", five), std::nullopt);
  EXPECT_EQ(broken(R"({"content":"hello","id":"0190d000-0000-7000-8000-000000000001"})", five), std::nullopt);
  EXPECT_EQ(broken(R"({"content":"hello","id":"0190d000-0000-7000-8000-00000000000x"})", five), TextRule::max_chars);
}

TEST(TextRules, LinksAndEmotesAreFoundInEveryString) {
  EXPECT_EQ(broken(R"({"a":"x","b":{"c":["example.com"]}})", {.no_links = true}), TextRule::links);
  EXPECT_EQ(broken(R"({"a":"http:\/\/x"})", {.no_links = true}), TextRule::links);
  EXPECT_EQ(broken(R"({"a":"x","example.com":1})", {.no_links = true}), std::nullopt);
  EXPECT_EQ(broken(R"({"content":":wave:","n":7,"type":"chat"})", {.emote_only = true}), std::nullopt);
  EXPECT_EQ(broken(R"({"content":":wave:","x":["hi"]})", {.emote_only = true}), TextRule::emote_only);
  EXPECT_EQ(broken(R"({"content":"hi"})", {}), std::nullopt);
}

TEST(TextRules, ApplyBesideBlockedTerms) {
  Reviewer reviewer;
  std::vector<TermSet::Rejected> rejected;
  const Term terms[] = {{"darn", Kind::literal, true, Action::mask}};
  const TermSet set(terms, reviewer.folder(), rejected);
  const TermSet* const sets[] = {&set};
  Review out;
  const TextRules rules{.max_chars = 10, .no_links = true, .emote_only = false, .t = "chat"};
  reviewer.review(R"({"a":"darn it"})", "", sets, out, nullptr, rules);
  EXPECT_EQ(out.broken, std::nullopt);
  EXPECT_EQ(out.payload, R"({"a":"**** it"})");
  reviewer.review(R"({"a":"darn example.com"})", "", sets, out, nullptr, rules);
  EXPECT_EQ(out.broken, TextRule::max_chars);
  EXPECT_FALSE(out.masked);
}

}  // namespace
}  // namespace sealcast::core::terms
