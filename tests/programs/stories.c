// Programs that crash with a stack that is known beforehand: `stories STORY DUMP`.
//
// Every function still has something to do after its call, so that no call becomes a jump when the compiler optimises.
// What stands in the comment of a line tells the test that the line is meant.
#include "dump.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define CALL __attribute__((noinline))
#define INLINE static inline __attribute__((always_inline))

static volatile int one = 1;
static volatile int *volatile nowhere = 0;
static char *volatile no_text = 0;

// Story "calls": recursion, large and variable frames, a callback out of the C library, a crash in an imported leaf.

CALL int through_import(void) {
    size_t length = strlen(no_text); // crash: imported
    return (int)length + one;
}

CALL int compare(const void *a, const void *b) {
    int order = through_import(); // call: through_import
    return order + *(const char *)a - *(const char *)b;
}

CALL int sorts(void) {
    char letters[] = "dumplens";
    qsort(letters, 8, 1, compare); // call: qsort
    return letters[one];
}

CALL int variable_frame(size_t size) {
    char *room = alloca(size);
    memset(room, one, size);
    int sorted = sorts(); // call: sorts
    return sorted + room[size / 2];
}

CALL int large_frame(void) {
    volatile char room[0x12345];
    room[0] = room[0x12344] = (char)one;
    int result = variable_frame(0x3000 + (size_t)one); // call: variable_frame
    return result + room[0x12344];
}

CALL int descends(int depth) {
    int below;
    if (depth > 0)
        below = descends(depth - 1); // call: descends
    else
        below = large_frame(); // call: large_frame
    return below + one;
}

// Saves registers that are not volatile, XMM among them.
CALL double with_registers(double a, double b, double c, int d, int e, int f) {
    int depth = descends(4); // call: descends(4)
    return a * b + c + depth + d * e - f;
}

CALL int tells_calls(void) {
    double sum = with_registers(one, one + 1.5, one * 2, one, one + 1, one + 2); // call: with_registers
    return (int)sum + one;
}

// Story "null": a call through a null pointer.

typedef int (*Function)(int);
static volatile Function null_function = 0;

CALL int calls_null(int argument) {
    int result = null_function(argument); // call: null
    return result + one;
}

CALL int tells_null(void) {
    int result = calls_null(one); // call: calls_null
    return result + one;
}

// Story "wild": a call to where no image is.

CALL int calls_wild(int argument) {
    Function wild = (Function)(ULONG_PTR)(0x123456780000 + one - 1);
    int result = wild(argument); // call: wild
    return result + one;
}

CALL int tells_wild(void) {
    int result = calls_wild(one); // call: calls_wild
    return result + one;
}

// Story "overflow": recursion without end, of two functions.

CALL int pong(int depth);

CALL int ping(int depth) {
    volatile char room[100];
    room[depth % 100] = (char)depth;
    int result = pong(depth + 1); // call: pong
    return result + room[one];
}

CALL int pong(int depth) {
    int result = ping(depth + 1); // call: ping
    return result + one;
}

CALL int tells_overflow(void) {
    int result = ping(0); // call: ping(0)
    return result + one;
}

// Story "inlined": calls that are not calls once the compiler is through with them.

INLINE int innermost(volatile int *from) {
    return *from + 1; // crash: innermost
}

INLINE int middle(volatile int *from) {
    int value = one;
    return value + innermost(from); // call: innermost
}

CALL int outer(int argument) {
    int value = argument * one;
    value += middle(nowhere); // call: middle
    return value;
}

CALL int tells_inlined(void) {
    int result = outer(one); // call: outer
    return result + one;
}

// Story "noreturn": a call that is the last instruction of its function, so that the return address is the next one's.

__attribute__((noinline, noreturn)) void gives_up(int code) {
    *nowhere = code; // crash: gives_up
    for (;;)
        Sleep(INFINITE);
}

CALL int may_give_up(int code) {
    if (code == one)
        gives_up(code); // call: gives_up
    return code - one;
}

__attribute__((noinline, noreturn)) void always_gives_up(int code) {
    may_give_up(code); // call: may_give_up
    gives_up(code + 1);
}

CALL int tells_noreturn(void) {
    always_gives_up(one); // call: always_gives_up
}

// Story "filter": a crash in the filter of a guarded block, which runs on top of the code that raised the exception.

CALL int filter(unsigned long code) {
    static int entered = 0;
    if (entered++)
        return EXCEPTION_CONTINUE_SEARCH; // asked again about its own crash
    return *nowhere + (int)code; // crash: filter
}

CALL int raises(int code) {
    RaiseException(0xe0000000 + (unsigned)code, 0, 0, 0); // call: RaiseException
    return code + one;
}

CALL int tells_filter(void) {
    int result = 0;
    __try {
        result = raises(one); // call: raises
    } __except (filter(GetExceptionCode())) { // call: filter
        result = 2;
    }
    return result + one;
}

// Story "fault": the same for a fault, which leaves a machine frame without a call.

CALL int faults(volatile int *from) {
    int value = *from; // crash: faults
    return value + one;
}

CALL int tells_fault(void) {
    int result = 0;
    __try {
        result = faults(nowhere); // call: faults
    } __except (filter(GetExceptionCode())) { // call: filter of fault
        result = 2;
    }
    return result + one;
}

// Threads that wait with stacks of their own in every story.

static volatile LONG not_waiting = 3;

CALL int waits_for(HANDLE event) {
    InterlockedDecrement(&not_waiting);
    DWORD result = WaitForSingleObject(event, INFINITE); // call: WaitForSingleObject
    return (int)result + one;
}

CALL int waits_deep(HANDLE event, int depth) {
    int result;
    if (depth > 0)
        result = waits_deep(event, depth - 1); // call: waits_deep
    else
        result = waits_for(event); // call: waits_for
    return result + one;
}

static DWORD WINAPI shallow_thread(void *event) {
    int result = waits_for(event); // call: shallow
    return (DWORD)(result + one);
}

static DWORD WINAPI deep_thread(void *event) {
    int result = waits_deep(event, 3); // call: deep
    return (DWORD)(result + one);
}

static DWORD WINAPI deeper_thread(void *event) {
    int result = waits_deep(event, 100); // call: deeper
    return (DWORD)(result + one);
}

static const struct {
    const char *name;
    int (*tell)(void);
} stories[] = {
    {"calls", tells_calls},     {"null", tells_null},         {"wild", tells_wild},     {"overflow", tells_overflow},
    {"inlined", tells_inlined}, {"noreturn", tells_noreturn}, {"filter", tells_filter}, {"fault", tells_fault},
};

int main(int count, char **arguments) {
    if (count != 3)
        return 2;
    dump_when_crashed(arguments[2]);
    HANDLE never = CreateEventA(0, TRUE, FALSE, 0);
    CreateThread(0, 0, shallow_thread, never, 0, 0);
    CreateThread(0, 0, deep_thread, never, 0, 0);
    CreateThread(0, 0, deeper_thread, never, 0, 0);
    while (not_waiting > 0)
        Sleep(1);
    Sleep(50);
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++)
        if (strcmp(arguments[1], stories[i].name) == 0) {
            int result = stories[i].tell(); // call: tell
            return result + one;
        }
    return 2;
}
