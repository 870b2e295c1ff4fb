// Tests which cell a stream is in, for given rows of sealcast_internal.cell_map().
#include "message/cells.h"

#include <gtest/gtest.h>

namespace sealcast::message {
namespace {

// Two streams: rendezvous hashing assigns the first to cell a and the second to cell b. They are the first vectors for
// these cells in tests/vectors/cells.json.
const std::string kOfA = "b9211838-f0e8-43d6-8878-fccd1fdf53eb", kOfB = "870b8f1c-530c-44d7-8798-01617d0c53c6";

CellMap map_of(const std::string& own) {
  CellMap map;
  for (const std::string name : {"a", "b"}) map.add({name, "https://" + name + ".example", name == own}, std::nullopt);
  return map;
}

std::string where(const CellMap& map, const std::string& stream_id) {
  const Cell* const cell = map.elsewhere(stream_id);
  return cell == nullptr ? "here" : cell->url;
}

TEST(CellMap, WithoutCellsThisSidecarHasAllStreams) { EXPECT_EQ(where({}, kOfA), "here"); }

TEST(CellMap, RendezvousHashingAssignsAStream) {
  EXPECT_EQ(where(map_of("a"), kOfA), "here");
  EXPECT_EQ(where(map_of("a"), kOfB), "https://b.example");
  EXPECT_EQ(where(map_of("b"), kOfA), "https://a.example");
  EXPECT_EQ(where(map_of("b"), kOfB), "here");
}

TEST(CellMap, APinOverridesTheHash) {
  CellMap map = map_of("a");
  map.add({"a", "https://a.example", true}, kOfB);
  map.add({"b", "https://b.example", false}, kOfA);
  EXPECT_EQ(where(map, kOfB), "here");
  EXPECT_EQ(where(map, kOfA), "https://b.example");
}

TEST(CellMap, ACellThatIsNotInTheListHasNoStreams) {
  const CellMap map = map_of("gone");
  EXPECT_EQ(where(map, kOfA), "https://a.example");
  EXPECT_EQ(where(map, kOfB), "https://b.example");
}

TEST(CellMap, MapsAreEqualOnlyIfCellsAndPinsAreEqual) {
  CellMap map = map_of("a");
  EXPECT_EQ(map, map_of("a"));
  EXPECT_NE(map, map_of("b"));
  map.add({"b", "https://b.example", false}, kOfA);
  EXPECT_NE(map, map_of("a"));
}

}  // namespace
}  // namespace sealcast::message
