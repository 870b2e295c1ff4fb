// Converts a decimal literal to the shortest literal of the nearest double. Skips the conversion to a double where it
// cannot change the digits.
#include "core/json_number.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/error.h"

namespace sealcast::core {
namespace {

// A decimal with at most 15 significant digits survives the conversion to a (normal) double and back. No other decimal
// with at most 15 digits has the same nearest double. So the digits of the decimal are already the shortest digits of
// that double. Within 10^±290 every double is normal.
constexpr int kSafeDigits = 15;
constexpr std::int64_t kSafeExponent = 290;
constexpr int kMaxShortestDigits = 17;
constexpr std::ptrdiff_t kMaxCanonical = 32;

// Replaces larger exponents, which could overflow. It exceeds the length of any literal, so even many digits before or
// after the decimal point cannot bring the number back into the range of a double.
constexpr std::int64_t kHugeExponent = 1'000'000'000'000'000;

// The number 0.d1d2…dk × 10^point, where k is `count`.
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

// Implements steps 5 to 12 of ECMA-262 Number::toString; k is the count and n the point.
char* write_decimal(bool negative, const Decimal& value, char* out) {
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

// The shortest digits whose nearest double is `value`, which is positive and finite.
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

// A literal's digits without leading and trailing zeros: from `first` to `last` inclusive. A decimal point may be
// between them. `count` and `point` have the same meaning as in Decimal.
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

// Copies a literal that is already canonical: at most kSafeDigits digits, no exponent, no superfluous zero, not zero,
// and not so small that it needs an exponent. Returns in == nullptr if this quick check cannot decide; it may have
// written to `at.out` before.
InOut copy_canonical(InOut at, const char* end) {
  constexpr std::ptrdiff_t kPlaces = 6;  // ECMAScript writes an exponent for numbers below 1e-6
  const auto copy_digits = [&at, end] {
    while (is_digit(at.in, end)) *at.out++ = *at.in++;
  };
  const InOut unknown{nullptr, nullptr};
  // No canonical literal is longer. Without this limit a long literal could exceed the room at `at.out`.
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

InOut write_number(InOut at, const char* end, Rules rules, Fault& fault) {
  const auto refuse = [&fault](const char* where, const char* problem) {
    fault = {where, problem};
    return InOut{nullptr, nullptr};
  };
  if (const InOut done = copy_canonical(at, end); done.in != nullptr) return done;
  const char* const start = at.in;
  const bool negative = *start == '-';
  const char* const whole = start + (negative ? 1 : 0);
  if (!is_digit(whole, end)) return refuse(whole, "expected a digit");
  const char* const whole_end = skip_digits(whole, end);
  if (*whole == '0' && whole_end - whole > 1) return refuse(whole, "number has a leading zero");

  const bool has_fraction = whole_end < end && *whole_end == '.';
  const char* const fraction = has_fraction ? whole_end + 1 : whole_end;
  const char* const fraction_end = has_fraction ? skip_digits(fraction, end) : whole_end;
  if (has_fraction && fraction_end == fraction) return refuse(fraction, "expected a digit after the decimal point");

  const char* p = fraction_end;
  std::int64_t exponent = 0;
  if (p < end && (*p == 'e' || *p == 'E')) {
    const char* const sign = p + 1;
    const char* const digits = sign < end && (*sign == '+' || *sign == '-') ? sign + 1 : sign;
    p = skip_digits(digits, end);
    if (p == digits) return refuse(digits, "expected a digit in the exponent");
    exponent = read_exponent(sign, p);
  }

  Literal literal{whole, fraction_end - 1, 0, 0};
  while (literal.first < fraction_end && (*literal.first == '0' || *literal.first == '.')) ++literal.first;
  if (literal.first == fraction_end) {  // zero; -0 becomes 0 too
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
    return {p, write_decimal(negative, decimal, at.out)};
  }

  double value = 0;
  const std::from_chars_result read = std::from_chars(whole, p, value);
  if (read.ec == std::errc::result_out_of_range) value = literal.point > 0 ? HUGE_VAL : 0;
  if (std::isinf(value)) return refuse(start, "number is too large for a double");
  const bool zero = value == 0;
  const Decimal decimal = zero ? Decimal{} : shortest(value);
  if ((rules == Rules::payload || rules == Rules::envelope) && (zero || !same_digits(literal, decimal))) {
    return refuse(start, "a double cannot hold this number exactly; send it as a string");
  }
  if (zero) {
    if (rules == Rules::claims) return refuse(start, "number is too small for a double");
    *at.out++ = '0';
    return {p, at.out};
  }
  return {p, write_decimal(negative, decimal, at.out)};
}

void append_number(double value, std::string& out) {
  if (!std::isfinite(value)) throw Error(ErrorKind::invalid_json, "JSON has no NaN and no infinity");
  if (value == 0) {
    out += '0';
    return;
  }
  char text[kSlack];
  out.append(text, write_decimal(value < 0, shortest(std::fabs(value)), text));
}

}  // namespace sealcast::core
