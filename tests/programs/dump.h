// Writes a full-memory minidump of the process when an exception is not handled, from a thread of its own: a thread
// that has run out of stack could not.
#include <windows.h>

#include <dbghelp.h>

static const char *dump_path;
static EXCEPTION_POINTERS *dump_pointers;
static DWORD dump_thread;
static HANDLE dump_wanted;

static DWORD WINAPI dump_writer(void *unused) {
    (void)unused;
    WaitForSingleObject(dump_wanted, INFINITE);
    // Wine reads all debug information of its libraries before it writes, unless it is told to put that off: three
    // times the time, and twice the dump.
    SymSetOptions(SYMOPT_DEFERRED_LOADS);
    HANDLE file = CreateFileA(dump_path, GENERIC_WRITE, 0, 0, CREATE_ALWAYS, 0, 0);
    MINIDUMP_EXCEPTION_INFORMATION exception = {dump_thread, dump_pointers, FALSE};
    BOOL written = MiniDumpWriteDump(GetCurrentProcess(), GetCurrentProcessId(), file, MiniDumpWithFullMemory,
                                     &exception, 0, 0);
    CloseHandle(file);
    TerminateProcess(GetCurrentProcess(), written ? 0 : 3);
    return 0;
}

static LONG WINAPI dump_filter(EXCEPTION_POINTERS *pointers) {
    dump_pointers = pointers;
    dump_thread = GetCurrentThreadId();
    SetEvent(dump_wanted);
    Sleep(INFINITE);
    return EXCEPTION_CONTINUE_SEARCH;
}

// Handlers of guarded blocks are looked for with more stack than is left when it has run out.
static LONG WINAPI dump_overflow(EXCEPTION_POINTERS *pointers) {
    if (pointers->ExceptionRecord->ExceptionCode == EXCEPTION_STACK_OVERFLOW)
        return dump_filter(pointers);
    return EXCEPTION_CONTINUE_SEARCH;
}

static void dump_when_crashed(const char *path) {
    dump_path = path;
    dump_wanted = CreateEventA(0, FALSE, FALSE, 0);
    CreateThread(0, 0, dump_writer, 0, 0, 0);
    AddVectoredExceptionHandler(1, dump_overflow);
    SetUnhandledExceptionFilter(dump_filter);
}
