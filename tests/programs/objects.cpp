// C++ that crashes with a stack that is known beforehand: `objects STORY DUMP`.
#include "dump.h"

#include <cstring>
#include <stdexcept>
#include <vector>

#define CALL __attribute__((noinline))

static volatile int one = 1;
static volatile int *volatile nowhere = nullptr;

namespace shapes {

struct Shape {
    virtual ~Shape() = default;
    virtual int area(int scale) const = 0;
};

template <int Sides> struct Regular final : Shape {
    CALL int area(int scale) const override {
        return *nowhere + scale + Sides; // crash: area
    }
};

} // namespace shapes

// Story "calls": a virtual method of a template's instance, called from a lambda that a template was given.

template <typename Function> CALL int twice(Function function) {
    int first = function(one); // call: function
    return first + function(one + 1);
}

CALL int measures(const shapes::Shape &shape) {
    int result = twice([&shape](int scale) __attribute__((noinline)) { // call: twice
        int area = shape.area(scale); // call: area
        return area + one;
    });
    return result + one;
}

CALL int tells_calls() {
    shapes::Shape *volatile shape = new shapes::Regular<6>;
    int result = measures(*shape); // call: measures
    return result + one;
}

// Story "catch": a crash in a function that a handler calls, after the stack was unwound to it.

CALL int throws(int code) {
    std::vector<int> kept(static_cast<size_t>(code));
    if (code == one)
        throw std::runtime_error("thrown");
    return kept[0];
}

CALL int recovers(const std::exception &error) {
    return *nowhere + error.what()[0]; // crash: recovers
}

CALL int catches() {
    int result;
    try {
        result = throws(one);
    } catch (const std::exception &error) {
        result = recovers(error); // call: recovers
    }
    return result + one;
}

CALL int tells_catch() {
    int result = catches(); // call: catches
    return result + one;
}

// Story "cleanup": a crash in a destructor that unwinding runs.

struct Kept {
    int code;
    CALL ~Kept() {
        code = *nowhere; // crash: ~Kept
    }
};

CALL int keeps() {
    Kept kept{one};
    return throws(kept.code) + kept.code;
} // cleanup: keeps

CALL int tells_cleanup() {
    try {
        int result = keeps(); // call: keeps
        return result + one;
    } catch (const std::exception &) {
        return 0;
    }
}

int main(int count, char **arguments) {
    if (count != 3)
        return 2;
    dump_when_crashed(arguments[2]);
    const char *story = arguments[1];
    int result = 0;
    if (strcmp(story, "calls") == 0)
        result = tells_calls(); // call: tell calls
    if (strcmp(story, "catch") == 0)
        result = tells_catch(); // call: tell catch
    if (strcmp(story, "cleanup") == 0)
        result = tells_cleanup(); // call: tell cleanup
    return result + one;
}
