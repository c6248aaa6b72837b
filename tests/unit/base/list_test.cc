#include "sluice/base/list.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>

using namespace sluice;

namespace {

struct OtherTag;
struct Item : ListNode<Item>, ListNode<Item, OtherTag> {
  explicit Item(char n) : name(n) {}
  char name;
};

std::string names(List<Item>& list) {
  std::string out;
  for (Item* item = list.front(); item != nullptr; item = list.next(*item)) out += item->name;
  return out;
}

}  // namespace

TEST_CASE("base/list: order, both ends, and unlinking from the middle") {
  Item a('a'), b('b'), c('c');
  List<Item> list;
  CHECK(list.is_empty());
  CHECK(list.front() == nullptr);
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  CHECK(names(list) == "abc");
  CHECK(list.back() == &c);
  static_cast<ListNode<Item>&>(b).unlink();
  CHECK(names(list) == "ac");
  CHECK(list.pop_front() == &a);
  CHECK(list.pop_front() == &c);
  CHECK(list.pop_front() == nullptr);
}

TEST_CASE("base/list: an element that dies leaves its list") {
  Item a('a');
  List<Item> list;
  list.push_back(a);
  {
    Item b('b');
    list.push_back(b);
    CHECK(names(list) == "ab");
  }
  CHECK(names(list) == "a");
}

TEST_CASE("base/list: a list that dies lets its elements go") {
  Item a('a');
  {
    List<Item> list;
    list.push_back(a);
  }
  CHECK(!static_cast<ListNode<Item>&>(a).is_linked());
}

TEST_CASE("base/list: with two tags an element hangs in two lists") {
  Item a('a');
  List<Item> list;
  List<Item, OtherTag> other;
  list.push_back(a);
  other.push_back(a);
  CHECK(list.pop_front() == &a);
  CHECK(other.front() == &a);
}

TEST_CASE("base/list: splice moves all to the end") {
  Item a('a'), b('b'), c('c');
  List<Item> list, more;
  list.push_back(a);
  more.push_back(b);
  more.push_back(c);
  list.splice_back(more);
  CHECK(names(list) == "abc");
  CHECK(more.is_empty());
}
