// Tests numbers with the samples of RFC 8785 appendix B, with the published checksum of the first million values of the
// RFC's test sequence, and with strtod.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "core/canonical_json.h"
#include "core/digest.h"
#include "core/error.h"

namespace sealcast::core {
namespace {

std::string number_of(double value) {
  std::string out;
  append_number(value, out);
  return out;
}

std::string canonical(const std::string& json, Rules rules = Rules::rfc8785) {
  std::string out;
  canonicalize(json, out, rules);
  return out;
}

std::vector<std::uint64_t> values_of_file() {
  std::vector<std::uint64_t> values;
  std::ifstream file(SEALCAST_VECTORS "/es6_doubles.txt");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with('#')) values.push_back(std::strtoull(line.c_str(), nullptr, 16));
  }
  return values;
}

// Calls `use` with the first `count` values of the test sequence. The sequence consists of the values of the file, then
// the 2000 smallest normal doubles, and then words of hashes. The first hash is the SHA-256 of 32 zero bytes; each next
// hash is the SHA-256 of the last hash. Each hash has four little-endian words; zeros, infinities and NaN are left out.
template <typename Use>
void for_each_value(std::size_t count, Use use) {
  std::size_t used = 0;
  for (const std::uint64_t bits : values_of_file()) {
    if (used++ < count) use(bits);
  }
  for (std::uint64_t i = 0; i < 2000 && used < count; ++i, ++used) use(0x0010000000000000 + i);
  Digest block{};
  while (used < count) {
    block = sha256(bytes(block));
    for (std::size_t word = 0; word < 4 && used < count; ++word) {
      std::uint64_t bits;
      std::memcpy(&bits, block.data() + 8 * word, sizeof bits);
      const double value = std::bit_cast<double>(bits);
      if (value == 0 || !std::isfinite(value)) continue;
      use(bits);
      ++used;
    }
  }
}

TEST(Es6Numbers, TheSamplesOfAppendixBHaveTheirPublishedForm) {
  const std::vector<std::pair<std::uint64_t, const char*>> samples = {
      {0x0000000000000000, "0"},
      {0x8000000000000000, "0"},
      {0x0000000000000001, "5e-324"},
      {0x8000000000000001, "-5e-324"},
      {0x7fefffffffffffff, "1.7976931348623157e+308"},
      {0xffefffffffffffff, "-1.7976931348623157e+308"},
      {0x4340000000000000, "9007199254740992"},
      {0xc340000000000000, "-9007199254740992"},
      {0x4430000000000000, "295147905179352830000"},
      {0x44b52d02c7e14af5, "9.999999999999997e+22"},
      {0x44b52d02c7e14af6, "1e+23"},
      {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
      {0x444b1ae4d6e2ef4e, "999999999999999700000"},
      {0x444b1ae4d6e2ef4f, "999999999999999900000"},
      {0x444b1ae4d6e2ef50, "1e+21"},
      {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
      {0x3eb0c6f7a0b5ed8d, "0.000001"},
      {0x41b3de4355555553, "333333333.3333332"},
      {0x41b3de4355555554, "333333333.33333325"},
      {0x41b3de4355555555, "333333333.3333333"},
      {0x41b3de4355555556, "333333333.3333334"},
      {0x41b3de4355555557, "333333333.33333343"},
      {0xbecbf647612f3696, "-0.0000033333333333333333"},
      {0x43143ff3c1cb0959, "1424953923781206.2"},
  };
  for (const auto& [bits, text] : samples) EXPECT_EQ(number_of(std::bit_cast<double>(bits)), text);
  for (const std::uint64_t bits : {0x7fffffffffffffffULL, 0x7ff0000000000000ULL, 0xfff0000000000000ULL}) {
    EXPECT_THROW(number_of(std::bit_cast<double>(bits)), Error);
  }
}

TEST(Es6Numbers, TheFirstMillionValuesHaveThePublishedChecksum) {
  std::string lines;
  for_each_value(1'000'000, [&lines](std::uint64_t bits) {
    char hex[20];
    std::snprintf(hex, sizeof hex, "%lx,", static_cast<unsigned long>(bits));
    lines += hex;
    append_number(std::bit_cast<double>(bits), lines);
    lines += '\n';
  });
  EXPECT_EQ(to_hex(sha256(lines)), "49415fee2c56c77864931bd3624faad425c3c577d6d74e89a83bc725506dad16");
}

TEST(Es6Numbers, ACanonicalLiteralIsExactAndDoesNotChange) {
  for_each_value(100'000, [](std::uint64_t bits) {
    const double value = std::bit_cast<double>(bits);
    const std::string text = number_of(value);
    ASSERT_EQ(canonical(text, Rules::payload), text);
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.16E", value);
    ASSERT_EQ(canonical(digits), text) << digits;
  });
}

// Compares literals of many lengths and magnitudes with glibc's strtod, which rounds correctly.
TEST(Es6Numbers, LiteralsAreRoundedAsByStrtod) {
  std::mt19937_64 random(8785);
  const auto below = [&random](std::uint64_t n) { return random() % n; };
  for (int i = 0; i < 300'000; ++i) {
    std::string literal = below(2) != 0 ? "-" : "";
    const std::size_t whole = below(4) == 0 ? 1 : 1 + below(25);
    const std::size_t fraction = below(3) == 0 ? 0 : below(25);
    literal += static_cast<char>(whole == 1 ? '0' + below(10) : '1' + below(9));
    for (std::size_t k = 1; k < whole; ++k) literal += static_cast<char>('0' + (below(3) == 0 ? 0 : below(10)));
    if (fraction > 0) literal += '.';
    for (std::size_t k = 0; k < fraction; ++k) literal += static_cast<char>('0' + (below(3) == 0 ? 0 : below(10)));
    if (below(2) != 0) {
      literal += below(2) != 0 ? 'e' : 'E';
      const char* const signs[] = {"", "+", "-"};
      literal += signs[below(3)] + std::to_string(below(below(2) != 0 ? 30 : 330));
    }
    const double value = std::strtod(literal.c_str(), nullptr);
    if (std::isinf(value)) {
      ASSERT_THROW(canonical(literal), Error) << literal;
    } else {
      ASSERT_EQ(canonical(literal), number_of(value)) << literal;
    }
  }
}

TEST(Es6Numbers, WithNumbersNoUnderflowOnlyLiteralsThatBecomeZeroAreRefused) {
  for (const char* literal : {"1e-400", "-1e-99999999999999999999", "2.4703282292062327e-324", "1e-200000"}) {
    EXPECT_THROW(canonical(literal, Rules::claims), Error) << literal;
  }
  for (const char* literal :
       {"0", "-0", "0e-99999999999999999999", "5e-324", "9007199254740993", "1.23456789012345678"}) {
    EXPECT_EQ(canonical(literal, Rules::claims), canonical(literal)) << literal;
  }
}

TEST(Es6Numbers, WithNumbersExactInexactLiteralsAreRefused) {
  for (const char* literal :
       {"9007199254740993", "0.10000000000000000001", "1e-400", "-1e-99999999999999999999", "123456789012345678",
        "0.1e-323", "333333333.33333329", "2.4703282292062328e-324", "100000000000000000000001"}) {
    EXPECT_THROW(canonical(literal, Rules::payload), Error) << literal;
    EXPECT_NO_THROW(canonical(literal)) << literal;
  }
  const std::vector<std::pair<std::string, const char*>> exact = {
      {"9007199254740992", "9007199254740992"},
      {"9007199254740994.000", "9007199254740994"},
      {"0.1", "0.1"},
      {"1e400000000000000000000000000000000", nullptr},
      {"-0", "0"},
      {"0e99999999999999999999", "0"},
      {"-0.000e-99999999999999999999", "0"},
      {"123456789012345680", "123456789012345680"},
      {"1000e-3", "1"},
      {"0." + std::string(400, '0') + "5e401", "5"},
      {"5" + std::string(400, '0') + "e-400", "5"},
      {"17" + std::string(100'000, '0') + ".0e-100001", "1.7"},
      {"0.3333333333333333" + std::string(1000, '0'), "0.3333333333333333"},
  };
  for (const auto& [literal, text] : exact) {
    if (text != nullptr) {
      EXPECT_EQ(canonical(literal, Rules::payload), text) << literal.substr(0, 40);
    } else {
      EXPECT_THROW(canonical(literal), Error);
    }
  }
}

TEST(Es6Numbers, LiteralsAtTheLimitsOfADoubleAreRoundedOrRefused) {
  EXPECT_EQ(canonical("1.7976931348623158e308"), "1.7976931348623157e+308");
  EXPECT_THROW(canonical("1.7976931348623159e308"), Error);
  EXPECT_THROW(canonical("-1e309"), Error);
  EXPECT_EQ(canonical("2.4703282292062328e-324"), "5e-324");
  EXPECT_EQ(canonical("2.4703282292062327e-324"), "0");
  EXPECT_EQ(canonical("2.2250738585072011e-308"), "2.225073858507201e-308");
}

}  // namespace
}  // namespace sealcast::core
