#include "sluice/loop/loop.h"
#include <doctest/doctest.h>
using namespace sluice::loop;
TEST_CASE("loop/loop: an empty loop ends at once") {
  Loop loop;
  loop.run();
}
