// From a decimal literal to the nearest double's shortest literal, skipping the double where it cannot matter.
#include "core/json_number.h"

#include <charconv>
#include <cmath>
#include <cstring>

#include "core/error.h"

namespace sealcast::core {
namespace {

// Every decimal of at most 15 significant digits survives the way through a (normal) double, and no shorter or other
// decimal of that length lands on the same double: its own digits are its shortest ones.
constexpr int kSafeDigits = 15;
constexpr std::int64_t kSafeExponent = 290;
constexpr int kMaxShortestDigits = 17;
constexpr std::ptrdiff_t kMaxCanonical = 32;

// Larger than any literal is long, so that no position in one brings a saturated exponent back into range.
constexpr std::int64_t kHugeExponent = 1'000'000'000'000'000;

// 0.d1d2…dk × 10^point.
struct Decimal {
  char digits[kMaxShortestDigits];
  int count;
  std::int64_t point;
};

bool is_digit(const char* p, const char* end) { return p < end && *p >= '0' && *p <= '9'; }

const char* skip_digits(const char* p, const char* end) {
  while (is_digit(p, end)) ++p;
  return p;
}

// ECMA-262 Number::toString, steps 5 to 12, where k is count and n is point.
char* lay_out(bool negative, const Decimal& value, char* out) {
  const int k = value.count;
  const int n = static_cast<int>(value.point);
  const auto digits = [&](int from, int to) {
    std::memcpy(out, value.digits + from, static_cast<std::size_t>(to - from));
    out += to - from;
  };
  const auto zeros = [&](int count) {
    std::memset(out, '0', static_cast<std::size_t>(count));
    out += count;
  };
  if (negative) *out++ = '-';
  if (k <= n && n <= 21) {
    digits(0, k);
    zeros(n - k);
  } else if (0 < n && n <= 21) {
    digits(0, n);
    *out++ = '.';
    digits(n, k);
  } else if (-6 < n && n <= 0) {
    *out++ = '0';
    *out++ = '.';
    zeros(-n);
    digits(0, k);
  } else {
    digits(0, 1);
    if (k > 1) {
      *out++ = '.';
      digits(1, k);
    }
    *out++ = 'e';
    *out++ = n > 0 ? '+' : '-';
    out = std::to_chars(out, out + 4, n > 0 ? n - 1 : 1 - n).ptr;
  }
  return out;
}

// The shortest digits that read back as `value`, which is positive and finite.
Decimal shortest(double value) {
  char text[32];
  const char* end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  Decimal result{};
  const char* p = text;
  for (; *p != 'e'; ++p) {
    if (*p != '.') result.digits[result.count++] = *p;
  }
  ++p;
  if (*p == '+') ++p;
  int exponent = 0;
  std::from_chars(p, end, exponent);
  result.point = exponent + 1;
  return result;
}

// One literal taken apart: its digits without leading and trailing zeros lie in [first, last], perhaps with a point
// between them.
struct Literal {
  const char* first;
  const char* last;
  std::int64_t count;
  std::int64_t point;
};

bool same_digits(const Literal& literal, const Decimal& decimal) {
  if (literal.count != decimal.count || literal.point != decimal.point) return false;
  const char* digit = decimal.digits;
  for (const char* p = literal.first; p <= literal.last; ++p) {
    if (*p != '.' && *p != *digit++) return false;
  }
  return true;
}

std::int64_t read_exponent(const char* p, const char* end) {
  const bool negative = *p == '-';
  if (*p == '-' || *p == '+') ++p;
  std::int64_t value = 0;
  for (; p < end; ++p) {
    value = value * 10 + (*p - '0');
    if (value > kHugeExponent) value = kHugeExponent;
  }
  return negative ? -value : value;
}

// Copies a literal that is canonical as it stands: at most kSafeDigits digits, no exponent, no superfluous zero, and
// none so small that it wants an exponent. at.in == nullptr when this does not see it at once.
Cursor copy_canonical(Cursor at, const char* end) {
  constexpr std::ptrdiff_t kPlaces = 6;  // from 1e-7 on ECMAScript writes an exponent
  const auto copy_digits = [&at, end] {
    while (is_digit(at.in, end)) *at.out++ = *at.in++;
  };
  const Cursor unknown{nullptr, nullptr};
  // A longer one would not fit behind `out`.
  if (end - at.in > kMaxCanonical) end = at.in + kMaxCanonical;
  if (*at.in == '-') *at.out++ = *at.in++;
  const char* const whole = at.in;
  copy_digits();
  std::ptrdiff_t digits = at.in - whole;
  if (digits == 0 || (*whole == '0' && digits > 1)) return unknown;
  bool nonzero = *whole != '0';
  if (at.in < end && *at.in == '.') {
    const char* const fraction = at.in + 1;
    *at.out++ = *at.in++;
    copy_digits();
    const std::ptrdiff_t places = at.in - fraction;
    if (places == 0 || places > kPlaces || at.in[-1] == '0') return unknown;
    digits += places;
    nonzero = true;
  }
  const bool exponent = at.in < end && (*at.in == 'e' || *at.in == 'E');
  if (!nonzero || digits > kSafeDigits || exponent) return unknown;
  return at;
}

}  // namespace

Cursor write_number(Cursor at, const char* end, Numbers numbers, Fault& fault) {
  const auto refuse = [&fault](const char* where, const char* what) {
    fault = {where, what};
    return Cursor{nullptr, nullptr};
  };
  if (const Cursor done = copy_canonical(at, end); done.in != nullptr) return done;
  const char* const start = at.in;
  const bool negative = *start == '-';
  const char* const whole = start + (negative ? 1 : 0);
  if (!is_digit(whole, end)) return refuse(whole, "a number needs a digit here");
  const char* const whole_end = skip_digits(whole, end);
  if (*whole == '0' && whole_end - whole > 1) return refuse(whole, "a number with a leading zero");

  const bool has_fraction = whole_end < end && *whole_end == '.';
  const char* const fraction = has_fraction ? whole_end + 1 : whole_end;
  const char* const fraction_end = has_fraction ? skip_digits(fraction, end) : whole_end;
  if (has_fraction && fraction_end == fraction) return refuse(fraction, "a number needs a digit after its point");

  const char* p = fraction_end;
  std::int64_t exponent = 0;
  if (p < end && (*p == 'e' || *p == 'E')) {
    const char* const sign = p + 1;
    const char* const digits = sign < end && (*sign == '+' || *sign == '-') ? sign + 1 : sign;
    p = skip_digits(digits, end);
    if (p == digits) return refuse(digits, "a number needs a digit in its exponent");
    exponent = read_exponent(sign, p);
  }

  Literal literal{whole, fraction_end - 1, 0, 0};
  while (literal.first < fraction_end && (*literal.first == '0' || *literal.first == '.')) ++literal.first;
  if (literal.first == fraction_end) {  // zero, and -0 is written alike
    *at.out++ = '0';
    return {p, at.out};
  }
  while (*literal.last == '0' || *literal.last == '.') --literal.last;
  const bool point_inside = has_fraction && literal.first < whole_end && literal.last > whole_end;
  literal.count = literal.last - literal.first + 1 - point_inside;
  literal.point = exponent + (literal.first < whole_end ? whole_end - literal.first : fraction - literal.first);

  if (literal.count <= kSafeDigits && literal.point <= kSafeExponent && literal.point >= -kSafeExponent) {
    Decimal decimal{{}, 0, literal.point};
    for (const char* digit = literal.first; digit <= literal.last; ++digit) {
      if (*digit != '.') decimal.digits[decimal.count++] = *digit;
    }
    return {p, lay_out(negative, decimal, at.out)};
  }

  double value = 0;
  const std::from_chars_result read = std::from_chars(whole, p, value);
  if (read.ec == std::errc::result_out_of_range) value = literal.point > 0 ? HUGE_VAL : 0;
  if (std::isinf(value)) return refuse(start, "a number too large for a double");
  const bool zero = value == 0;
  const Decimal decimal = zero ? Decimal{} : shortest(value);
  if (numbers == Numbers::exact && (zero || !same_digits(literal, decimal))) {
    return refuse(start, "a number that a double cannot hold exactly; send it as a string");
  }
  if (zero) {
    *at.out++ = '0';
    return {p, at.out};
  }
  return {p, lay_out(negative, decimal, at.out)};
}

void append_number(double value, std::string& out) {
  if (!std::isfinite(value)) throw Error(ErrorKind::invalid_json, "NaN and infinities have no JSON form");
  if (value == 0) {
    out += '0';
    return;
  }
  char text[kSlack];
  out.append(text, lay_out(value < 0, shortest(std::fabs(value)), text));
}

}  // namespace sealcast::core
