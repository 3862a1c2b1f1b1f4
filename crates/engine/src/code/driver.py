import os, sys
main, *names = sys.argv[1:]
for name in names:
    try:
        with open(name, "rb") as file:
            compile(file.read(), name, "exec", dont_inherit=True)
    except BaseException as error:
        import traceback
        print("agenttts: not valid Python", file=sys.stderr)
        print("".join(traceback.format_exception_only(type(error), error)).strip(), file=sys.stderr)
        sys.exit(213)
os.execv(sys.executable, [sys.executable, "-u", main])
