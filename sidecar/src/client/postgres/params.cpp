// Writes parameters in the binary format that the *_recv functions of Postgres read. Rules are big-endian. An array
// begins with five 4-byte numbers: number of dimensions, null flag, element type, size, lower bound. An empty array has
// only the first three.
#include "client/postgres/params.h"

namespace sealcast::client::postgres {

namespace {

unsigned nibble(char c) noexcept { return c <= '9' ? c - '0' : c - 'a' + 10; }

}  // namespace

Uuid uuid_bytes(std::string_view normalized) noexcept {
  Uuid out{};
  std::size_t at = 0;
  for (unsigned char& byte : out) {
    if (normalized[at] == '-') ++at;
    byte = static_cast<unsigned char>(nibble(normalized[at]) << 4 | nibble(normalized[at + 1]));
    at += 2;
  }
  return out;
}

void append_uuid_text(const unsigned char* bytes, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += kHex[bytes[i] >> 4];
    out += kHex[bytes[i] & 15];
  }
}

void Params::clear() {
  buffer_.clear();
  values_.clear();
}

void Params::begin(Oid type) { values_.push_back({type, buffer_.size(), 0, false}); }
void Params::end() { values_.back().size = buffer_.size() - values_.back().begin; }

void Params::put(std::uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) buffer_ += static_cast<char>(value >> shift);
}

void Params::add(std::int64_t value) {
  begin(oid::kBigint);
  put(static_cast<std::uint64_t>(value), 8);
  end();
}

void Params::add(std::int32_t value) {
  begin(oid::kInteger);
  put(static_cast<std::uint32_t>(value), 4);
  end();
}

void Params::add(std::string_view text) {
  begin(oid::kText);
  buffer_ += text;
  end();
}

void Params::add(const Uuid& value) {
  begin(oid::kUuid);
  buffer_.append(reinterpret_cast<const char*>(value.data()), value.size());
  end();
}

void Params::add_boolean(bool value) {
  begin(oid::kBoolean);
  put(value ? 1 : 0, 1);
  end();
}

void Params::add_json(std::string_view json) {
  begin(oid::kJson);
  buffer_ += json;
  end();
}

void Params::add_null(Oid type) { values_.push_back({type, buffer_.size(), 0, true}); }

void Params::begin_array(Oid array_type, Oid element_type, std::size_t count) {
  begin(array_type);
  put(count == 0 ? 0 : 1, 4);  // number of dimensions
  put(0, 4);                   // null flag: no element is null
  put(element_type, 4);
  if (count == 0) return;
  put(count, 4);
  put(1, 4);  // lower bound
}

void Params::element(std::int64_t value) {
  put(8, 4);
  put(static_cast<std::uint64_t>(value), 8);
}

void Params::element(std::int32_t value) {
  put(4, 4);
  put(static_cast<std::uint32_t>(value), 4);
}

void Params::element(std::string_view text) {
  put(text.size(), 4);
  buffer_ += text;
}

void Params::element(const Uuid& value) {
  put(value.size(), 4);
  buffer_.append(reinterpret_cast<const char*>(value.data()), value.size());
}

void Params::end_array() { end(); }

}  // namespace sealcast::client::postgres
