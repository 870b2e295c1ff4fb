// Tests SHA-256 and HMAC with the vectors of FIPS 180-4, RFC 4231 and Wycheproof. The Debian package librust-hmac-dev,
// the Rust crate hmac, contains Wycheproof's vectors.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/digest.h"

namespace sealcast::core {
namespace {

Digest digest_of(std::string_view hex) {
  Digest digest;
  EXPECT_TRUE(from_hex(hex, digest)) << hex;
  return digest;
}

TEST(Sha256, Fips180Samples) {
  EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(to_hex(sha256(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Hex, ADigestHas64LowerCaseDigits) {
  const std::string hex = "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0eff";
  EXPECT_EQ(to_hex(digest_of(hex)), hex);
  Digest digest;
  for (const std::string& wrong : {hex.substr(1), hex + "0", "A" + hex.substr(1), "g" + hex.substr(1), std::string()}) {
    EXPECT_FALSE(from_hex(wrong, digest)) << wrong;
  }
}

TEST(Hmac, Rfc4231) {
  struct Case {
    std::string key, message, tag;
  };
  const std::string counting = [] {
    std::string text;
    for (char c = 1; c <= 25; ++c) text += c;
    return text;
  }();
  const Case cases[] = {
      {std::string(20, '\x0b'), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {counting, std::string(50, '\xcd'), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {std::string(131, '\xaa'),
       "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
       "hashed before being used by the HMAC algorithm.",
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
  };
  for (const Case& each : cases) EXPECT_EQ(to_hex(HmacKey(each.key).sign(each.message)), each.tag);
  // RFC 4231 publishes only the first 128 bits of case 5.
  EXPECT_EQ(to_hex(HmacKey(std::string(20, '\x0c')).sign("Test With Truncation")).substr(0, 32),
            "a3b6167473100ee06e0c796c2955552b");
}

// Reads the file format of the crate. The file begins with the number of repeated byte strings, and these strings, each
// after its length. Then each string of the vectors begins with an integer. If its lowest bit is 0, the other bits are
// a length, and the bytes follow. If its lowest bit is 1, the other bits are the index of a repeated string. Integers
// have base 128, the most significant digit first. A set high bit means that another digit follows; it also adds 1 to
// the value before that digit.
class BlobReader {
 public:
  explicit BlobReader(std::string bytes) : bytes_(std::move(bytes)) {
    for (std::size_t left = integer(); left > 0; --left) repeated_.push_back(take(integer()));
  }
  bool more() const { return at_ < bytes_.size(); }
  std::string next() {
    const std::size_t tag = integer();
    return (tag & 1) != 0 ? repeated_.at(tag >> 1) : take(tag >> 1);
  }

 private:
  std::size_t integer() {
    std::size_t value = 0;
    while (true) {
      const auto byte = static_cast<unsigned char>(bytes_.at(at_++));
      value = value << 7 | (byte & 0x7F);
      if (byte < 0x80) return value;
      ++value;
    }
  }
  std::string take(std::size_t size) {
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }

  std::string bytes_;
  std::size_t at_ = 0;
  std::vector<std::string> repeated_;
};

std::filesystem::path wycheproof_file() {
  const std::filesystem::path registry = "/usr/share/cargo/registry";
  std::error_code ignored;
  for (const auto& crate : std::filesystem::directory_iterator(registry, ignored)) {
    const std::filesystem::path file = crate.path() / "tests/data/wycheproof-sha256.blb";
    if (crate.path().filename().string().starts_with("hmac-") && exists(file)) return file;
  }
  return {};
}

// The crate contains only Wycheproof's valid vectors. Wycheproof's invalid vectors are valid vectors with a changed
// MAC. This test makes the same changes itself.
TEST(Hmac, Wycheproof) {
  std::ifstream file(wycheproof_file(), std::ios::binary);
  ASSERT_TRUE(file) << "wycheproof-sha256.blb is missing: apt-get install librust-hmac-dev";
  BlobReader blobs({std::istreambuf_iterator<char>(file), {}});
  int count = 0;
  for (; blobs.more(); ++count) {
    const std::string key = blobs.next();
    const std::string message = blobs.next();
    const std::string tag = blobs.next();
    ASSERT_TRUE(tag.size() == 16 || tag.size() == 32);
    const Digest digest = HmacKey(key).sign(message);
    ASSERT_EQ(std::string(digest.begin(), digest.begin() + static_cast<std::ptrdiff_t>(tag.size())), tag);
    EXPECT_TRUE(equal_in_constant_time(digest, HmacKey(key).sign(message)));
    const auto expect_refused = [&digest](auto change) {
      Digest other = digest;
      change(other);
      EXPECT_FALSE(equal_in_constant_time(digest, other));
    };
    for (std::size_t bit = 0; bit < 256; ++bit) {
      expect_refused([bit](Digest& other) { other[bit / 8] ^= static_cast<unsigned char>(1 << (bit % 8)); });
    }
    expect_refused([](Digest& other) { other[0] ^= 1, other[8] ^= 1; });
    expect_refused([](Digest& other) {
      for (auto& byte : other) byte ^= 0xFF;
    });
    expect_refused([](Digest& other) {
      for (auto& byte : other) byte ^= 0x80;
    });
    expect_refused([](Digest& other) {
      for (auto& byte : other) byte ^= 0x01;
    });
    expect_refused([](Digest& other) { other.fill(0); });
    expect_refused([](Digest& other) { other.fill(0xFF); });
  }
  EXPECT_EQ(count, 66);
}

}  // namespace
}  // namespace sealcast::core
