// Looks at each dot and each colon of a text, and at the label behind it.
#include "core/terms/links.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>

namespace sealcast::core::terms {
namespace {

// Top-level domains that count wherever they are. The list has the ones that people meet in a chat, not all that exist:
// words of many languages are top-level domains too, and people forget the space behind a full stop.
constexpr std::string_view kKnown[] = {
    "com",     "net",   "org",  "info",  "biz",    "edu",     "gov",    "mil",     "int",     "arpa",   "mobi",  "name",
    "xyz",     "top",   "icu",  "vip",   "online", "site",    "shop",   "store",   "club",    "app",    "dev",   "tech",
    "cloud",   "page",  "blog", "link",  "click",  "website", "live",   "stream",  "space",   "casino", "bet",   "porn",
    "xxx",     "adult", "sexy", "cam",   "webcam", "dating",  "loan",   "cfd",     "sbs",     "cyou",   "bond",  "buzz",
    "monster", "quest", "pics", "zip",   "mov",    "art",     "agency", "network", "digital", "email",  "media", "wiki",
    "onion",   "asia",  "moe",  "ninja", "gg",     "tv",      "io",     "co",      "cc",      "ly",     "ru",    "su",
    "de",      "uk",    "fr",   "nl",    "pl",     "cz",      "ch",     "eu",      "dk",      "fi",     "gr",    "hu",
    "ro",      "pt",    "br",   "jp",    "cn",     "kr",      "tw",     "hk",      "sg",      "au",     "nz",    "ca",
    "mx",      "cl",    "tr",   "ua",    "kz",     "ir",      "th",     "vn",      "ph",      "za",     "tk",    "ml",
    "cf",      "gq",    "ws",
};

// Their form in a text is folded: look-alikes of ASCII letters are ASCII letters there.
constexpr std::string_view kInternational[] = {
    "\u0440\u0444",                          // .рф
    "\u0440\u0443\u0441",                    // .рус
    "\u043e\u043d\u043b\u0430\u0439\u043d",  // .онлайн
    "\u0441\u0430\u0439\u0442",              // .сайт
    "\u0443\u043a\u0440",                    // .укр
    "\u0431\u0435\u043b",                    // .бел
    "\u049b\u0430\u0437",                    // .қаз
    "\u4e2d\u56fd",                          // .中国
    "\u4e2d\u570b",                          // .中國
    "\u516c\u53f8",                          // .公司
    "\u7f51\u5740",                          // .网址
    "\u7f51\u7edc",                          // .网络
    "\u5728\u7ebf",                          // .在线
    "\u7f51\u5e97",                          // .网店
    "\u53f0\u6e7e",                          // .台湾
    "\u53f0\u7063",                          // .台灣
    "\u9999\u6e2f",                          // .香港
    "\ud55c\uad6d",                          // .한국
    "\u0e44\u0e17\u0e22",                    // .ไทย
    "\u092d\u093e\u0930\u0924",              // .भारत
    "\u0627\u06cc\u0631\u0627\u0646",        // .ایران
    "\u0634\u0628\u0643\u0629",              // .شبكة
    "\u0645\u0635\u0631",                    // .مصر
    "\u0627\u0645\u0627\u0631\u0627\u062a",  // .امارات
};

bool is_ascii_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_ascii_label(char c) { return is_ascii_alnum(c) || c == '-' || c == '_'; }

// Returns the size of the character of a label that begins at `at`; 0 if there is none.
std::size_t label_character(std::string_view text, std::size_t at) {
  if (at >= text.size()) return 0;
  if (static_cast<unsigned char>(text[at]) < 0x80) return is_ascii_label(text[at]) ? 1 : 0;
  const auto size = static_cast<std::int64_t>(text.size());
  auto next = static_cast<std::int64_t>(at);
  UChar32 code_point;
  U8_NEXT(text.data(), next, size, code_point);
  const bool part = code_point >= 0 && (u_isalnum(code_point) || (U_GET_GC_MASK(code_point) & U_GC_M_MASK) != 0);
  return part ? static_cast<std::size_t>(next) - at : 0;
}

std::size_t end_of_label(std::string_view text, std::size_t at) {
  while (const std::size_t size = label_character(text, at)) at += size;
  return at;
}

// Returns whether a label ends at `at`. Every character behind ASCII counts: an emoji may be a label, too.
bool ends_label(std::string_view text, std::size_t at) {
  return at > 0 && (static_cast<unsigned char>(text[at - 1]) >= 0x80 || is_ascii_label(text[at - 1]));
}

// Returns whether text goes on at `at` as an address does behind its domain.
bool continues_address(std::string_view text, std::size_t at) {
  if (at >= text.size()) return false;
  if (text[at] == ':') return at + 1 < text.size() && text[at + 1] >= '0' && text[at + 1] <= '9';
  return text[at] == '/' || text[at] == '?' || text[at] == '#';
}

std::string folded(Folder& folder, std::string_view text) {
  Folded out;
  folder.fold(text, out);
  std::string bytes(out.bytes());
  bytes.erase(std::remove(bytes.begin(), bytes.end(), kMark), bytes.end());
  return bytes;
}

}  // namespace

Links::Links(Folder& folder)
    : known_(std::begin(kKnown), std::end(kKnown)), ideographic_dot_(folded(folder, "\u3002")) {
  for (const std::string_view name : kInternational) known_.insert(folded(folder, name));
}

std::size_t Links::dot_at(std::string_view text, std::size_t at) const {
  if (text[at] == '.') return 1;
  return text.substr(at).starts_with(ideographic_dot_) ? ideographic_dot_.size() : 0;
}

// `at` is the beginning of a label behind a dot.
bool Links::is_domain_end(std::string_view text, std::size_t at) const {
  const std::size_t end = end_of_label(text, at);
  const std::string_view label = text.substr(at, end - at);
  if (known_.contains(label)) return true;
  if (label.starts_with("xn--") && label.size() > 4) return true;
  // Programs that make text clickable end a domain before a letter that is not ASCII.
  const std::string_view ascii = label.substr(
      0, static_cast<std::size_t>(std::find_if_not(label.begin(), label.end(), is_ascii_label) - label.begin()));
  if (ascii.size() < label.size() && known_.contains(ascii)) return true;
  const bool country = label.size() == 2 && label[0] >= 'a' && label[0] <= 'z' && label[1] >= 'a' && label[1] <= 'z';
  return country && continues_address(text, end);
}

bool Links::in(std::string_view text) const {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == ':') {
      const bool scheme = at > 0 && is_ascii_alnum(text[at - 1]) && text.substr(at + 1).starts_with("//");
      if (scheme && at + 3 < text.size() && text[at + 3] != ' ') return true;
      continue;
    }
    const std::size_t dot = dot_at(text, at);
    if (dot == 0) continue;
    if (!ends_label(text, at)) continue;
    constexpr std::string_view kWww = "www";
    const bool www = at >= kWww.size() && text.substr(at - kWww.size(), kWww.size()) == kWww &&
                     !ends_label(text, at - kWww.size()) && label_character(text, at + dot) != 0;
    if (www || is_domain_end(text, at + dot)) return true;
  }
  return false;
}

}  // namespace sealcast::core::terms
