// Tests the assignment of streams to cells, with the same test vectors as the tests of the SQL functions and of the
// client library.
#include "core/cell.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace sealcast::core {
namespace {

// Returns the string after `"name":"`, or an empty text.
std::string member(const std::string& line, const std::string& name) {
  const std::string opening = '"' + name + "\":\"";
  const std::size_t at = line.find(opening);
  if (at == line.npos) return {};
  const std::size_t first = at + opening.size();
  return line.substr(first, line.find('"', first) - first);
}

// Returns the strings of the only array in the line.
std::vector<std::string> array(const std::string& line) {
  std::vector<std::string> strings;
  const std::size_t end = line.find(']');
  for (std::size_t at = line.find('['); (at = line.find('"', at)) < end;) {
    const std::size_t close = line.find('"', at + 1);
    strings.push_back(line.substr(at + 1, close - at - 1));
    at = close + 1;
  }
  return strings;
}

// Returns a stream id that ends with `number`.
std::string stream(int number) {
  std::string digits = std::to_string(number);
  return "0190d000-0000-7000-8000-" + std::string(12 - digits.size(), '0') + digits;
}

std::string_view winner(const std::string& stream_id, const std::vector<std::string_view>& cells) {
  return cells.at(rendezvous(stream_id, cells));
}

// Each test vector is one line of the file.
TEST(Cell, AStreamsCellIsTheOneInTheVectors) {
  std::ifstream file(SEALCAST_VECTORS "/cells.json");
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    const std::string stream_id = member(line, "stream_id");
    if (stream_id.empty()) continue;
    const std::vector<std::string> cells = array(line);
    EXPECT_EQ(winner(stream_id, {cells.begin(), cells.end()}), member(line, "cell")) << line;
    EXPECT_EQ(winner(stream_id, {cells.rbegin(), cells.rend()}), member(line, "cell")) << "cells in reverse order";
    ++count;
  }
  EXPECT_GE(count, 40);
}

TEST(Cell, WithoutCellsAStreamHasNone) { EXPECT_EQ(rendezvous(stream(1), {}), 0u); }

TEST(Cell, EachCellHasAnEqualShareOfTheStreams) {
  const std::vector<std::string_view> cells{"a", "b", "c", "d", "e"};
  constexpr int kStreams = 20'000;
  std::map<std::string_view, int> streams;
  for (int i = 0; i < kStreams; ++i) ++streams[winner(stream(i), cells)];
  ASSERT_EQ(streams.size(), cells.size());
  const double share = static_cast<double>(kStreams) / static_cast<double>(cells.size());
  for (const auto& [cell, count] : streams) EXPECT_NEAR(count, share, share / 20) << cell;
}

TEST(Cell, ARemovedCellMovesOnlyItsOwnStreams) {
  const std::vector<std::string_view> before{"a", "b", "c", "d", "e"}, after{"a", "b", "d", "e"};
  std::map<std::string_view, int> moved;  // number of moved streams by new cell
  for (int i = 0; i < 5'000; ++i) {
    const std::string_view old_cell = winner(stream(i), before), new_cell = winner(stream(i), after);
    if (old_cell == "c") {
      ++moved[new_cell];
    } else {
      EXPECT_EQ(new_cell, old_cell);
    }
  }
  EXPECT_EQ(moved.size(), after.size()) << "each other cell gets some of the streams";
}

}  // namespace
}  // namespace sealcast::core
