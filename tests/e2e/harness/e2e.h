// All that an end-to-end test includes.
#pragma once

#include <doctest/doctest.h>

#include "tests/e2e/harness/origin.h"
#include "tests/e2e/harness/simple_origin.h"
#include "tests/e2e/harness/sluice.h"
#include "tests/e2e/harness/tools.h"
