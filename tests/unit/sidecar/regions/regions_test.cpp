// Tests which regions a caller is offered: the place of the caller, the health of the regions, and their order.
#include "regions/regions.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "base/asio.h"
#include "regions/country_places.h"
#include "support/async.h"
#include "support/contract_server.h"
#include "support/scratch.h"

namespace sealcast::regions {
namespace {

using Milliseconds = RegionHealth::Milliseconds;

constexpr config::Place kFrankfurt{50.11, 8.68};
constexpr config::Place kTokyo{35.65, 139.74};
constexpr config::Place kSydney{-33.87, 151.22};

// Writes a Geo-IP database to `file`. Each line of `lines` has the form NETWORK COUNTRY [LATITUDE LONGITUDE].
void make_database(const std::string& file, const std::string& lines) {
  FILE* const writer = ::popen((std::string(SEALCAST_TESTS) + "/make_mmdb.pl '" + file + "'").c_str(), "w");
  ASSERT_NE(writer, nullptr);
  std::fwrite(lines.data(), 1, lines.size(), writer);
  ASSERT_EQ(::pclose(writer), 0) << "install libmaxmind-db-writer-perl";
}

Address address(std::string_view text) { return *parse_address(text); }

std::string country_of(const GeoIp& geoip, std::string_view text) {
  const auto found = geoip.locate(address(text));
  return found ? found->country : "none";
}

TEST(DistanceTest, IsTheLengthOfTheGreatCircle) {
  EXPECT_EQ(distance_km(kTokyo, kTokyo), 0);
  EXPECT_NEAR(distance_km(kFrankfurt, kTokyo), 9334, 30);
  EXPECT_EQ(distance_km(kFrankfurt, kTokyo), distance_km(kTokyo, kFrankfurt));
  EXPECT_NEAR(distance_km({0, 179.5}, {0, -179.5}), 111.2, 0.1) << "across the date line";
  EXPECT_NEAR(distance_km({90, 17}, {90, -122}), 0, 0.01) << "all longitudes meet at the pole";
  EXPECT_NEAR(distance_km({12, 34}, {-12, -146}), 20015, 1) << "antipodes";
}

TEST(RegionTest, IsParsedFromOneLine) {
  const config::Region region = config::parse_region("  eu-1  https://eu.chat.example/a/   50.11 -8.5 ");
  EXPECT_EQ(region.name, "eu-1");
  EXPECT_EQ(region.url, "https://eu.chat.example/a");
  EXPECT_EQ(region.place.latitude, 50.11);
  EXPECT_EQ(region.place.longitude, -8.5);
  for (const char* text : {"", "EU https://x 0 0", "e.u https://x 0 0", "eu", "eu https://x", "eu https://x 0",
                           "eu https://x 0 0 0", "eu https://x 90.1 0", "eu https://x 0 180.1", "eu https://x 0,0",
                           "eu https://x nan 0", "eu https://x inf 0", "eu https://x 0x1 0", "eu https://x 1e1 0"}) {
    EXPECT_THROW(config::parse_region(text), std::invalid_argument) << text;
  }
}

TEST(RegionHealthTest, ChangesAfterTwoConsecutiveProbes) {
  RegionHealth health;
  EXPECT_TRUE(health.healthy());
  EXPECT_FALSE(health.record_probe(std::nullopt));
  EXPECT_FALSE(health.record_probe(Milliseconds(10)));
  EXPECT_FALSE(health.record_probe(std::nullopt));
  EXPECT_TRUE(health.healthy()) << "one failure between two good probes";
  EXPECT_TRUE(health.record_probe(std::nullopt));
  EXPECT_FALSE(health.healthy());
  EXPECT_FALSE(health.record_probe(std::nullopt));
  EXPECT_FALSE(health.record_probe(Milliseconds(10)));
  EXPECT_FALSE(health.healthy());
  EXPECT_TRUE(health.record_probe(Milliseconds(10)));
  EXPECT_TRUE(health.healthy());
}

TEST(RegionHealthTest, AveragesTheRoundTripsOfGoodAnswers) {
  RegionHealth health;
  EXPECT_FALSE(health.round_trip());
  health.record_probe(Milliseconds(100));
  EXPECT_EQ(health.round_trip()->count(), 100);
  health.record_probe(Milliseconds(200));
  EXPECT_EQ(health.round_trip()->count(), 125);
  health.record_probe(std::nullopt);
  EXPECT_EQ(health.round_trip()->count(), 125);
}

class OrderTest : public testing::Test {
 protected:
  // Adds a region at `place` and records `probes` for it. Each probe is a round trip in milliseconds, or -1 for a
  // failure.
  void add(const std::string& name, const config::Place& place, std::vector<double> probes = {}) {
    regions_.push_back(std::make_unique<config::Region>(config::Region{name, "https://" + name, place}));
    RegionState state{*regions_.back(), {}};
    for (const double ms : probes) state.health.record_probe(ms < 0 ? std::nullopt : std::optional(Milliseconds(ms)));
    states_.push_back(state);
  }
  std::string order(const config::Place& caller) {
    std::string names;
    for (const Offer& offer : order_regions(states_, caller)) names += offer.state->region.name + " ";
    return names;
  }

  std::vector<std::unique_ptr<config::Region>> regions_;
  std::vector<RegionState> states_;
};

TEST_F(OrderTest, TheNearestRegionIsFirst) {
  add("us", {40.71, -74.01}, {1});
  add("eu", kFrankfurt, {300});
  add("ap", kTokyo, {200});
  EXPECT_EQ(order({48.86, 2.33}), "eu us ap ");
  EXPECT_EQ(order(kSydney), "ap us eu ");
  EXPECT_EQ(order({64.15, -21.85}), "eu us ap ");
}

TEST_F(OrderTest, AtTheSameDistanceTheFasterRegionIsFirstThenTheListDecides) {
  add("new", kFrankfurt);
  add("slow", {50.2, 8.7}, {80});
  add("fast", {50.0, 8.6}, {20});
  add("newer", kFrankfurt);
  EXPECT_EQ(order(kFrankfurt), "fast slow new newer ");
}

TEST_F(OrderTest, UnhealthyRegionsAreLeftOutUnlessAllAreUnhealthy) {
  add("eu", kFrankfurt, {-1, -1});
  add("ap", kTokyo, {20, -1});
  EXPECT_EQ(order(kFrankfurt), "ap ");
  states_[1].health.record_probe(std::nullopt);
  EXPECT_EQ(order(kFrankfurt), "eu ap ");
  states_.clear();
  EXPECT_EQ(order(kFrankfurt), "");
}

TEST(CountryPlacesTest, FindsThePrincipalPlaceOfACountry) {
  EXPECT_LT(distance_km(*place_of_country("JP"), kTokyo), 10);
  EXPECT_LT(distance_km(*place_of_country("AU"), kSydney), 10) << "not Lord Howe Island, its first zone";
  EXPECT_LT(distance_km(*place_of_country("AD"), {42.5, 1.5}), 10) << "the first entry of the table";
  EXPECT_LT(distance_km(*place_of_country("ZW"), {-17.8, 31.05}), 10) << "the last entry";
  for (const char* code : {"", "A", "ZZ", "jp", "JPN"}) EXPECT_FALSE(place_of_country(code)) << code;
}

class GeoIpTest : public testing::Test {
 protected:
  void SetUp() override {
    make_database(file_,
                  "203.0.113.0/24 DE 50.11 8.68\n198.51.100.0/24 JP\n192.0.2.0/25 XX\n192.0.2.128/25 -\n"
                  "192.0.2.255/32 FR 91 0\n2001:db8::/32 AU -33.87 151.22\n");
  }
  test::Scratch scratch_;
  const std::string file_ = scratch_.path("geoip.mmdb");
};

TEST_F(GeoIpTest, LocatesByCityAndByCountry) {
  const GeoIp geoip(file_);
  const auto german = geoip.locate(address("203.0.113.9"));
  ASSERT_TRUE(german);
  EXPECT_EQ(german->country, "DE");
  EXPECT_EQ(distance_km(german->place, kFrankfurt), 0);
  const auto japanese = geoip.locate(address("198.51.100.1"));
  ASSERT_TRUE(japanese);
  EXPECT_EQ(japanese->country, "JP");
  EXPECT_LT(distance_km(japanese->place, kTokyo), 10) << "the country's principal place";
  EXPECT_EQ(country_of(geoip, "::ffff:203.0.113.9"), "DE");
  EXPECT_EQ(country_of(geoip, "2001:db8::1"), "AU");
  EXPECT_EQ(country_of(geoip, "192.0.2.255"), "FR") << "an invalid place is ignored; the country is used";
}

TEST_F(GeoIpTest, UnknownAddressesAreNotLocated) {
  const GeoIp geoip(file_);
  for (const char* text : {"127.0.0.1", "::1", "192.0.2.1", "192.0.2.200", "2001:db9::1", "0.0.0.0"}) {
    EXPECT_EQ(country_of(geoip, text), "none") << text;
  }
  EXPECT_EQ(country_of(GeoIp(""), "203.0.113.9"), "none");
}

TEST_F(GeoIpTest, AChangedFileIsUsedAndABrokenFileIsIgnored) {
  GeoIp geoip(file_);
  make_database(file_, "203.0.113.0/24 CH 47.38 8.54\n");
  EXPECT_EQ(country_of(geoip, "203.0.113.9"), "DE") << "until reload_if_changed()";
  geoip.reload_if_changed();
  EXPECT_EQ(country_of(geoip, "203.0.113.9"), "CH");
  std::ofstream(file_, std::ios::trunc) << "no database";  // overwrites the file itself instead of replacing it
  EXPECT_EQ(country_of(geoip, "203.0.113.9"), "CH");
  geoip.reload_if_changed();
  EXPECT_EQ(country_of(geoip, "203.0.113.9"), "CH");
  std::remove(file_.c_str());
  geoip.reload_if_changed();
  EXPECT_EQ(country_of(geoip, "203.0.113.9"), "CH");
  make_database(file_, "203.0.113.0/24 AT 48.21 16.37\n");
  geoip.reload_if_changed();
  EXPECT_EQ(country_of(geoip, "203.0.113.9"), "AT");
}

TEST_F(GeoIpTest, AnInvalidDatabaseIsRefusedByName) {
  const auto problem = [](const std::string& path) -> std::string {
    try {
      GeoIp geoip(path);
      return "no problem";
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  };
  for (const std::string& path :
       {scratch_.write("empty", ""), scratch_.write("text", "hello"), scratch_.path("none"), scratch_.path("")}) {
    EXPECT_TRUE(problem(path).starts_with("regions.database_file: \"" + path + "\" ")) << problem(path);
  }
}

// Local HTTP servers act as the regions. answer() sets the HTTP status that a server answers to probes.
class RegionsTest : public testing::Test {
 protected:
  config::Settings::Regions settings() {
    config::Settings::Regions settings{};
    settings.list = {"eu " + eu_.url() + " 50.11 8.68", "ap " + ap_.url() + " 35.65 139.74"};
    settings.fallback = "eu";
    settings.probe = std::chrono::milliseconds(20);
    settings.ca_file = eu_.ca_file();
    return settings;
  }
  void answer(test::ContractServer& region, int status) {
    region.faults(R"("answer":{"status":)" + std::to_string(status) + R"(,"body":"{}"})");
  }
  static std::string names(const Offers& offers) {
    std::string names;
    for (const Offer& offer : offers.regions) names += offer.state->region.name + " ";
    return names;
  }
  bool until(const Regions& regions, const std::string& wanted) {
    return test::run_until(io_, [&] { return names(regions.offers_for(address("127.0.0.1"))) == wanted; });
  }

  test::ContractServer eu_{"supabase.mjs"};
  test::ContractServer ap_{"supabase.mjs"};
  asio::io_context io_;
  Metrics metrics_;
};

TEST_F(RegionsTest, OffersTheRegionsThatAnswerTheirProbes) {
  answer(eu_, 200);
  // Each server has its own certificate. Only the certificate of eu is trusted, so every probe of ap fails.
  Regions regions(io_.get_executor(), metrics_, settings());
  EXPECT_EQ(names(regions.offers_for(address("127.0.0.1"))), "eu ap ")
      << "all regions are healthy before their first probe";
  regions.start();
  ASSERT_TRUE(until(regions, "eu "));
  EXPECT_FALSE(regions.offers_for(address("127.0.0.1")).located);
  ASSERT_TRUE(test::run_until(
      io_, [&] { return regions.offers_for(address("127.0.0.1")).regions[0].state->health.round_trip().has_value(); }));
  EXPECT_NE(metrics_.render().find("sealcast_region_healthy{region=\"eu\"} 1"), std::string::npos);
  EXPECT_NE(metrics_.render().find("sealcast_region_healthy{region=\"ap\"} 0"), std::string::npos);

  answer(eu_, 503);
  ASSERT_TRUE(until(regions, "eu ap ")) << "no region answers, so all are offered";
  EXPECT_FALSE(regions.offers_for(address("127.0.0.1")).regions[0].state->health.healthy());
  answer(eu_, 200);
  ASSERT_TRUE(until(regions, "eu "));
  EXPECT_TRUE(regions.offers_for(address("127.0.0.1")).regions[0].state->health.healthy());
  regions.stop();
  io_.restart();
  io_.run();  // returns only after all probe loops have ended
}

TEST_F(RegionsTest, OrdersByThePlaceOfTheCallerOrOfTheDefaultRegion) {
  test::Scratch scratch;
  config::Settings::Regions settings = this->settings();
  settings.database_file = scratch.path("geoip.mmdb");
  make_database(settings.database_file, "203.0.113.0/24 AU -33.87 151.22\n198.51.100.0/24 FR 48.86 2.33\n");
  Regions regions(io_.get_executor(), metrics_, settings);
  EXPECT_EQ(names(regions.offers_for(address("203.0.113.1"))), "ap eu ");
  EXPECT_EQ(regions.offers_for(address("203.0.113.1")).located->country, "AU");
  EXPECT_EQ(names(regions.offers_for(address("198.51.100.1"))), "eu ap ");
  EXPECT_EQ(names(regions.offers_for(address("127.0.0.1"))), "eu ap ");
  settings.fallback = "ap";
  Regions other(io_.get_executor(), metrics_, settings);
  EXPECT_EQ(names(other.offers_for(address("127.0.0.1"))), "ap eu ");
}

TEST_F(RegionsTest, TheDatabaseIsReadAgainWhileTheLoopsRun) {
  test::Scratch scratch;
  config::Settings::Regions settings = this->settings();
  settings.database_file = scratch.path("geoip.mmdb");
  make_database(settings.database_file, "203.0.113.0/24 FR 48.86 2.33\n");
  Regions regions(io_.get_executor(), metrics_, settings);
  regions.start();
  make_database(settings.database_file, "203.0.113.0/24 AU -33.87 151.22\n");
  EXPECT_TRUE(test::run_until(io_, [&] {
    const Offers offers = regions.offers_for(address("203.0.113.1"));
    return offers.located && offers.located->country == "AU";
  }));
  regions.stop();
  io_.restart();
  io_.run();
}

TEST_F(RegionsTest, WithoutConfiguredRegionsNothingIsOffered) {
  config::Settings::Regions none{};
  none.probe = std::chrono::milliseconds(20);
  Regions regions(io_.get_executor(), metrics_, none);
  regions.start();
  EXPECT_TRUE(regions.offers_for(address("127.0.0.1")).regions.empty());
  io_.run();
}

}  // namespace
}  // namespace sealcast::regions
