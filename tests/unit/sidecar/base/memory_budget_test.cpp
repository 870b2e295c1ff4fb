// Tests which shares the budget sheds, and when.
#include "base/memory_budget.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "base/asio.h"

namespace sealcast {
namespace {

class MemoryBudgetTest : public testing::Test {
 protected:
  struct Holder {
    Holder(MemoryBudgetTest& test, std::string name, MemoryClass of)
        : share(test.budget_, of, [this, &test, name] {
            test.shed_ += name;
            share.set(kept);
          }) {}
    MemoryBudget::Share share;
    std::size_t kept = 0;  // bytes that cannot be freed
  };

  Holder& holder(const std::string& name, MemoryClass of, std::size_t bytes) {
    holders_.push_back(std::make_unique<Holder>(*this, name, of));
    holders_.back()->share.set(bytes);
    return *holders_.back();
  }

  const std::string& shed() {
    io_.restart();
    io_.run();
    return shed_;
  }

  asio::io_context io_;
  Metrics metrics_;
  MemoryBudget budget_{io_.get_executor(), metrics_, 1000};
  std::string shed_;
  std::vector<std::unique_ptr<Holder>> holders_;
};

TEST_F(MemoryBudgetTest, ShedsNothingUpToTheLimit) {
  holder("a", MemoryClass::requests, 600);
  holder("b", MemoryClass::rings, 400);
  EXPECT_EQ(shed(), "");
  EXPECT_EQ(budget_.held(), 1000u);
  EXPECT_EQ(budget_.held(MemoryClass::rings), 400u);
  EXPECT_EQ(metrics_.memory("requests").held.Value(), 600);
}

TEST_F(MemoryBudgetTest, ShedsTheLargestOfTheClassThatHoldsTheMost) {
  holder("a", MemoryClass::rings, 400);
  holder("b", MemoryClass::requests, 100);
  holder("c", MemoryClass::requests, 300);
  holder("d", MemoryClass::requests, 201);
  EXPECT_EQ(shed(), "c");
  EXPECT_EQ(metrics_.memory("requests").shed.Value(), 1);
  EXPECT_EQ(metrics_.memory("rings").shed.Value(), 0);
}

TEST_F(MemoryBudgetTest, ShedsTheOldestOfAboutTheSameSize) {
  holder("a", MemoryClass::catch_up, 300);
  holder("b", MemoryClass::catch_up, 400);
  Holder& c = holder("c", MemoryClass::catch_up, 290);
  c.share.set(0);
  c.share.set(310);
  EXPECT_EQ(shed(), "a");
}

TEST_F(MemoryBudgetTest, ShedsOnceForManyChanges) {
  Holder& a = holder("a", MemoryClass::requests, 10);
  Holder& b = holder("b", MemoryClass::requests, 900);
  for (std::size_t bytes = 10; bytes < 200; ++bytes) a.share.set(bytes);
  EXPECT_EQ(shed_, "") << "set() does not call back";
  EXPECT_EQ(shed(), "b");
  EXPECT_EQ(b.share.bytes(), 0u);
}

TEST_F(MemoryBudgetTest, GoesOnWithAnotherClassWhenTheLargestCannotShed) {
  Holder& busy = holder("a", MemoryClass::requests, 700);
  busy.kept = 700;
  holder("b", MemoryClass::answers, 400);
  EXPECT_EQ(shed(), "ab");
  EXPECT_FALSE(budget_.exhausted());
  busy.kept = 1200;
  busy.share.set(1200);
  EXPECT_FALSE(budget_.exhausted()) << "nothing was tried yet";
  EXPECT_EQ(shed(), "aba");
  EXPECT_TRUE(budget_.exhausted());
  busy.share.set(900);
  EXPECT_FALSE(budget_.exhausted());
}

TEST_F(MemoryBudgetTest, AShareMayEndWhileOthersAreShed) {
  auto last = std::make_unique<MemoryBudget::Share>(budget_, MemoryClass::answers, [] { FAIL() << "it has ended"; });
  MemoryBudget::Share first(budget_, MemoryClass::answers, [&] {
    last.reset();
    first.set(600);
  });
  first.set(600);
  last->set(590);
  shed();
  EXPECT_EQ(budget_.held(), 600u);
}

}  // namespace
}  // namespace sealcast
