// Writes jsonb as canonical JSON by reading its binary form directly (utils/jsonb.h documents it).
//
// JsonbIterator and numeric_out() of Postgres both call palloc, and a failed palloc would longjmp over the C++ frames
// in this file. This file therefore reads the containers by their published layout. The layout of a numeric is not
// published, but it is an on-disk format (numeric.c, "NumericShort"/"NumericLong") that is unchanged since 9.1:
// base-10000 digits after a header of one or two words of 16 bits. The CanonicalWriter gets such a number as
// <digits>e<exponent>, so that the work is linear in the stored size: 1e131071 has one digit, not 131072.
#include "sealing/jsonb_walk.h"

#include <cstdint>

#include "core/error.h"
#include "core/member_order.h"

namespace sealcast::sealing {
namespace {

// poll() counts this many bytes for each value in addition to its content, so that empty values count too.
constexpr std::size_t kBytesPerValue = 8;

// Returns the 16-bit word number `index` of the content of a numeric.
std::uint16_t word(const char* numeric, std::size_t index) {
  std::uint16_t result;
  std::memcpy(&result, numeric + index * sizeof result, sizeof result);
  return result;
}

// The parts of a numeric. Its value is the sum of group(i) * 10000^(weight - i).
struct Numeric {
  const char* groups;  // `count` base-10000 digits of 16 bits each
  std::size_t count;
  int weight;
  bool negative;

  unsigned group(std::size_t i) const { return word(groups, i); }
};

Numeric parse_numeric(std::string_view numeric) {
  constexpr unsigned kShort = 0x8000, kSpecial = 0xC000, kSignMask = 0xC000, kNegative = 0x4000;
  constexpr unsigned kShortNegative = 0x2000, kShortWeightSign = 0x0040, kShortWeightMask = 0x003F;

  const unsigned header = word(numeric.data(), 0);
  if ((header & kSignMask) == kSpecial) {
    throw core::Error(core::ErrorKind::invalid_json, "invalid JSON: NaN and infinities have no JSON form");
  }
  const bool is_short = (header & kSignMask) == kShort;
  const bool negative = is_short ? (header & kShortNegative) != 0 : (header & kSignMask) == kNegative;
  const int weight = is_short
                         ? static_cast<int>(header & kShortWeightMask) - static_cast<int>(header & kShortWeightSign)
                         : static_cast<std::int16_t>(word(numeric.data(), 1));
  const std::size_t header_words = is_short ? 1 : 2;
  return {numeric.data() + header_words * sizeof(std::uint16_t), numeric.size() / sizeof(std::uint16_t) - header_words,
          weight, negative};
}

// Returns the value of a numeric that is an integer of at most 15 digits, or nullopt for any other numeric. A double
// holds such an integer exactly, so its canonical literal is its decimal digits.
std::optional<std::int64_t> small_integer(const Numeric& numeric) {
  constexpr std::int64_t kBound = 1'000'000'000'000'000;
  constexpr int kMaxGroups = 4;
  if (numeric.weight >= kMaxGroups || static_cast<int>(numeric.count) > numeric.weight + 1) return std::nullopt;
  std::int64_t value = 0;
  for (int i = 0; i <= numeric.weight; ++i) {
    const auto at = static_cast<std::size_t>(i);
    value = value * 10'000 + (at < numeric.count ? numeric.group(at) : 0);
  }
  if (value >= kBound) return std::nullopt;
  return numeric.negative ? -value : value;
}

// Replaces the content of `literal` by the decimal literal of a numeric, for example -15e-1 for -1.5.
void decimal_literal(const Numeric& numeric, std::string& literal) {
  literal.clear();
  if (numeric.negative) literal += '-';
  const std::size_t start = literal.size();
  literal.resize(start + numeric.count * 4);
  char* out = literal.data() + start;
  for (std::size_t i = 0; i < numeric.count; ++i, out += 4) {
    const unsigned group = numeric.group(i);
    out[0] = static_cast<char>('0' + group / 1000);
    out[1] = static_cast<char>('0' + group / 100 % 10);
    out[2] = static_cast<char>('0' + group / 10 % 10);
    out[3] = static_cast<char>('0' + group % 10);
  }
  const std::size_t leading = literal.find_first_not_of('0', start);
  if (leading == std::string::npos) {
    literal = "0";
    return;
  }
  literal.erase(start, leading - start);
  if (const int exponent = 4 * (numeric.weight - static_cast<int>(numeric.count) + 1); exponent != 0) {
    char text[16];
    literal += 'e';
    literal.append(text, std::to_chars(text, text + sizeof text, exponent).ptr);
  }
}

// The member list of the last walk. The next walk of this backend reuses its memory, so that a small document allocates
// nothing. A list with a capacity above kKeptMembers is freed.
std::vector<core::Member> spare_members;
constexpr std::size_t kKeptMembers = 4096;

class Walk {
 public:
  Walk(core::CanonicalWriter& writer, core::CancelFlag cancel) : writer_(writer), cancel_(cancel), sorting_(cancel) {
    members_.swap(spare_members);
  }
  ~Walk() {
    members_.clear();
    if (members_.capacity() <= kKeptMembers) members_.swap(spare_members);
  }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  // Writes a container and, recursively, the containers inside. The writer throws above kMaxDepth levels, so the
  // recursion has a limit.
  void container(const JsonbContainer* container) {
    if (JsonContainerIsScalar(container)) {
      value(container->children[0], payload(container, 1), 0);
    } else if (JsonContainerIsArray(container)) {
      array(container);
    } else {
      object(container);
    }
  }

 private:
  // Returns the start of the content of a container. The content follows `entries` JEntry words.
  static const char* payload(const JsonbContainer* container, std::size_t entries) {
    return reinterpret_cast<const char*>(container->children + entries);
  }

  // Returns the end offset of an entry that starts at `offset`. An entry stores its length or, at regular intervals,
  // its end offset.
  static std::uint32_t end_of(JEntry entry, std::uint32_t offset) {
    return JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry) : offset + JBE_OFFLENFLD(entry);
  }

  void array(const JsonbContainer* container) {
    const std::uint32_t count = JsonContainerSize(container);
    const char* const base = payload(container, count);
    writer_.begin_array();
    std::uint32_t offset = 0;
    for (std::uint32_t i = 0; i < count; ++i) offset = value(container->children[i], base, offset);
    writer_.end_array();
  }

  // In the binary form all keys precede all values, and shorter keys precede longer ones, which differs from canonical
  // order. This function sorts the members before it writes them, so that the writer need not move text.
  void object(const JsonbContainer* container) {
    const std::uint32_t count = JsonContainerSize(container);
    const char* const base = payload(container, 2 * static_cast<std::size_t>(count));
    writer_.begin_object();
    const std::size_t first = members_.size();
    std::uint32_t key_offset = 0;
    std::uint32_t value_offset = getJsonbOffset(container, static_cast<int>(count));
    bool sorted = true;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t key_end = end_of(container->children[i], key_offset);
      const std::string_view key(base + key_offset, key_end - key_offset);
      const core::Member& member = core::add_member(members_, key, value_offset, i);
      if (i > 0 && sorted) sorted = core::compare_members(members_.end()[-2], member) < 0;
      key_offset = key_end;
      value_offset = end_of(container->children[count + i], value_offset);
    }
    if (!sorted) core::sort_members(std::span(members_).subspan(first), sorting_);
    for (std::uint32_t i = 0; i < count; ++i) {
      const core::Member& member = members_[first + i];
      const JEntry entry = container->children[count + member.source];
      writer_.key(member.key);
      value(entry, base, static_cast<std::uint32_t>(member.begin));
    }
    members_.resize(first);
    writer_.end_object();
  }

  // Writes the value that starts at `offset` from `base`, and returns the offset of the next value.
  std::uint32_t value(JEntry entry, const char* base, std::uint32_t offset) {
    const std::uint32_t end = end_of(entry, offset);
    if (JBE_ISCONTAINER(entry)) {
      poll(0);
      container(reinterpret_cast<const JsonbContainer*>(base + INTALIGN(offset)));
      return end;
    }
    poll(end - offset);
    if (JBE_ISSTRING(entry)) {
      writer_.string({base + offset, end - offset});
    } else if (JBE_ISNUMERIC(entry)) {
      const char* const numeric = base + INTALIGN(offset);
      number(parse_numeric({VARDATA_ANY(numeric), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(numeric))}));
    } else if (JBE_ISNULL(entry)) {
      writer_.null();
    } else {
      writer_.boolean(JBE_ISBOOL_TRUE(entry));
    }
    return end;
  }

  void number(const Numeric& numeric) {
    if (const std::optional<std::int64_t> integer = small_integer(numeric)) {
      writer_.integer(*integer);
    } else {
      decimal_literal(numeric, literal_);
      writer_.number(literal_);
    }
  }

  // Counts the bytes read, and checks the cancel flag once per kPollBytes.
  void poll(std::size_t bytes) {
    since_poll_ += bytes + kBytesPerValue;
    if (since_poll_ < core::kPollBytes) return;
    since_poll_ = 0;
    if (cancel_ != nullptr && *cancel_ != 0)
      throw core::Error(core::ErrorKind::interrupted, "canceled while reading jsonb");
  }

  core::CanonicalWriter& writer_;
  core::CancelFlag cancel_;
  std::size_t since_poll_ = 0;
  core::Poll sorting_;
  // The members of all objects that have begun and not ended. Here Member::begin is the offset of the value in the
  // binary form, and Member::source its index.
  std::vector<core::Member> members_;
  std::string literal_;
};

}  // namespace

void canonicalize_jsonb(const Jsonb* document, std::string& out, core::Rules rules, core::CancelFlag cancel) {
  core::CanonicalWriter writer(out, rules, cancel, VARSIZE(document));
  Walk(writer, cancel).container(&document->root);
}

}  // namespace sealcast::sealing
