//! A program under `racetrace run` lives as it does without: its input, output, terminal, exit code, start-up options and
//! the modules that its user has put in the way are its own.

mod harness;

use std::io::Write;
use std::process::{Command, Stdio};

use harness::pythons::supported;
use harness::{Python, Session, each_python};

/// Watched, and silent about it.
fn clean(outcome: &harness::session::Outcome, python: &Python) {
    assert_eq!(outcome.races(), [""; 0], "{}: {}", python.name(), outcome.stderr);
    assert!(outcome.coverage("processes") >= 1, "{}: {}", python.name(), outcome.not_watched());
}

#[test]
fn input_and_output_are_the_programs_own() {
    each_python(|python| {
        let session =
            Session::new().file("app.py", "import sys\nsys.stdout.write(sys.stdin.read().upper())\nsys.stderr.write('err')");
        let mut command = session.command([python.path.to_str().unwrap(), "app.py"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"through\n").unwrap();
        let outcome = session.outcome(child.wait_with_output().unwrap());
        assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "THROUGH\n", "err"));
        clean(&outcome, python);
    });
}

#[test]
fn exit_codes_are_passed_on() {
    each_python(|python| {
        for (code, program) in [
            (0, "pass"),
            (3, "raise SystemExit(3)"),
            (255, "import os; os._exit(255)"),
            (1, "1 / 0"),
            (66, "raise SystemExit(66)"),
        ] {
            let outcome = Session::new().python(python, &["-c", program]);
            assert_eq!(outcome.code, code, "{program}: {}", outcome.stderr);
            clean(&outcome, python);
        }
    });
}

#[test]
fn the_environment_shows_nothing_to_the_program_but_what_its_children_need() {
    each_python(|python| {
        let program = "
            import os, sys
            print(sorted(name for name in sys.modules if 'racetrace' in name and name != 'racetrace_agent'))
            print([entry for entry in sys.path if entry.endswith('/hook')])
            print('sitecustomize' in sys.modules, sys.gettrace(), sys.getprofile())
            print(sys.flags.ignore_environment, os.getpgrp() == os.getpgid(os.getppid()))
        ";
        let session = Session::new().file("app.py", program);
        let outcome = session.python(python, &["app.py"]);
        let lines: Vec<&str> = outcome.stdout.lines().collect();
        assert_eq!(lines[..2], ["[]", "[]"], "{}", outcome.stdout);
        assert!(lines[3] == "0 True", "{}", outcome.stdout);
        clean(&outcome, python);
    });
}

#[test]
fn the_users_own_start_up_modules_work() {
    each_python(|python| {
        let session = Session::new()
            .file("mine/sitecustomize.py", "import sys\nsys.stdout.write('site\\n')\nNAME = 'mine'")
            .file("mine/helper.py", "VALUE = 42")
            .file("app.py", "import sitecustomize, helper, sys\nprint(sitecustomize.NAME, helper.VALUE, sitecustomize.__file__)");
        let mine = session.path().join("mine");
        let session = session.env("PYTHONPATH", &mine);
        let outcome = session.python(python, &["app.py"]);
        let file = mine.join("sitecustomize.py");
        assert_eq!(outcome.stdout, format!("site\nmine 42 {}\n", file.display()));
        clean(&outcome, python);
    });
}

#[test]
fn an_error_in_the_users_sitecustomize_is_the_users_to_see() {
    each_python(|python| {
        let session =
            Session::new().file("mine/sitecustomize.py", "raise ValueError('of my own')").file("app.py", "print('ran')");
        let mine = session.path().join("mine");
        let outcome = session.env("PYTHONPATH", mine).python(python, &["app.py"]);
        assert!(outcome.stderr.contains("of my own"), "{}", outcome.stderr);
        assert_eq!(outcome.stdout, "ran\n");
        clean(&outcome, python);
    });
}

#[test]
fn without_a_sitecustomize_there_is_none() {
    each_python(|python| {
        let program = "
            try:
                import sitecustomize
            except ImportError as error:
                print(error.name)
            else:
                print(sitecustomize.__file__.startswith('/usr'))
        ";
        let outcome = Session::new().file("app.py", program).python(python, &["app.py"]);
        assert!(["sitecustomize\n", "None\n", "True\n"].contains(&outcome.stdout.as_str()), "{}", outcome.stdout);
        clean(&outcome, python);
    });
}

#[test]
fn interpreter_options_keep_working() {
    each_python(|python| {
        for (options, shows) in [
            (["-X", "dev"], "sys.flags.dev_mode"),
            (["-X", "utf8"], "sys.flags.utf8_mode == 1"),
            (["-W", "error"], "sys.warnoptions == ['error']"),
            (["-O", "-B"], "sys.flags.optimize == 1 and sys.flags.dont_write_bytecode"),
            (["-u", "-s"], "sys.flags.no_user_site"),
            (["-X", "faulthandler"], "__import__('faulthandler').is_enabled()"),
            (["-X", "tracemalloc=5"], "__import__('tracemalloc').get_traceback_limit() == 5"),
        ] {
            let program = format!("import sys; print(bool({shows}))");
            let outcome = Session::new().python(python, &[options[0], options[1], "-c", &program]);
            assert_eq!(outcome.stdout, "True\n", "{options:?}: {}", outcome.stderr);
            assert_eq!(outcome.code, 0);
            clean(&outcome, python);
        }
    });
}

#[test]
fn modules_directories_archives_and_scripts_from_a_pipe_run() {
    each_python(|python| {
        let session = Session::new().file("pack/__main__.py", "print(__name__, __package__)").file("pack/__init__.py", "");
        assert_eq!(session.python(python, &["-m", "pack"]).stdout, "__main__ pack\n");
        assert_eq!(session.python(python, &["pack"]).stdout, "__main__ \n");
        let mut command = session.command([python.path.to_str().unwrap(), "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"print('from a pipe')").unwrap();
        assert_eq!(child.wait_with_output().unwrap().stdout, b"from a pipe\n");
    });
}

#[test]
fn virtual_environments_work() {
    each_python(|python| {
        let session = Session::new();
        let place = session.path().join("env");
        let made = Command::new(&python.path).args(["-m", "venv", "--without-pip"]).arg(&place).output().unwrap();
        if !made.status.success() {
            eprintln!("{}: no venv module, not tried", python.name());
            return;
        }
        let inner = place.join("bin/python");
        if !Command::new(&inner).args(["-c", "pass"]).status().is_ok_and(|status| status.success()) {
            eprintln!("{}: its virtual environments do not work by themselves, not tried", python.name());
            return;
        }
        let outcome = session.run([inner.to_str().unwrap(), "-c", "import sys; print(sys.prefix != sys.base_prefix)"]);
        assert_eq!(outcome.stdout, "True\n", "{}", outcome.stderr);
        clean(&outcome, python);
    });
}

#[test]
fn the_terminal_is_the_programs_own() {
    // A terminal made by Python's pty module; what is typed is Ctrl-C's character, which the terminal turns into a signal.
    let driver = "
        import os, pty, signal, sys
        signal.alarm(60)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.argv[1], sys.argv[1:])
        seen = b''
        typed = False
        while True:
            try:
                data = os.read(terminal, 1000)
            except OSError:
                break
            if not data:
                break
            seen += data
            if b'ready' in seen and not typed:
                typed = True
                os.write(terminal, b'\\x03')
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(status, b'tty True True True' in seen, seen.count(b'interrupted'))
    ";
    let program = "
        import os, sys, time
        print('tty', *(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)))
        try:
            print('ready', os.tcgetpgrp(0) == os.getpgrp(), flush=True)
            while True:
                time.sleep(0.01)
        except KeyboardInterrupt:
            print('interrupted')
            sys.exit(7)
    ";
    each_python(|python| {
        let session = Session::new().file("driver.py", driver).file("app.py", program);
        let wrapped = session.command([python.path.to_str().unwrap(), "app.py"]);
        let mut outer = Command::new(&supported()[0].path);
        outer.arg("driver.py").arg(wrapped.get_program()).args(wrapped.get_args()).current_dir(session.path());
        let outcome = session.outcome(outer.output().unwrap());
        assert_eq!(outcome.stdout, "7 True 1\n", "{}", outcome.stderr);
        clean(&outcome, python);
    });
}

#[test]
fn quiet_says_nothing_and_verbose_says_more() {
    each_python(|python| {
        let words = [python.path.to_str().unwrap(), "-c", "print('said')"];
        let run = |option: &str| harness::session::racetrace().args(["run", option, "--"]).args(words).output().unwrap();
        let quiet = run("--quiet");
        assert_eq!((quiet.stdout.as_slice(), quiet.stderr.as_slice()), (b"said\n".as_slice(), b"".as_slice()));
        let verbose = run("--verbose");
        let told = String::from_utf8_lossy(&verbose.stderr);
        assert!(told.contains("the command ended: exit status: 0") && told.contains("1 Python process(es) watched"), "{told}");
    });
}

#[test]
fn tracers_and_profilers_see_what_they_see_without_us() {
    let program = "
        import sys, threading
        calls, lines = [], []
        def profile(frame, event, arg):
            if event == 'call': calls.append(frame.f_code.co_name)
        def trace(frame, event, arg):
            lines.append((frame.f_code.co_name, event))
            return trace
        def begin_profile(): sys.setprofile(profile)
        def end_profile(): sys.setprofile(None)
        def begin_trace(): sys.settrace(trace)
        def end_trace(): sys.settrace(None)
        def inner(): return 1
        def outer(): return inner() + inner()
        def deep(n): return n and 1 + deep(n - 1)
        def steps():
            try: yield 1
            except KeyError: yield 2
        thread = threading.Thread(target=outer)
        thread.start()
        thread.join()
        begin_profile(); outer(); end_profile(); outer()
        begin_trace(); outer(); end_trace(); outer()
        found = [calls[:], lines[:]]
        sys.setrecursionlimit(5000)
        found.append((deep(150), deep(4000)))
        walk = steps()
        found.append((next(walk), walk.throw(KeyError)))
        del calls[:], lines[:]
        begin_profile(); outer(); end_profile()
        begin_trace(); outer(); end_trace()
        print(found, calls, lines)
    ";
    each_python(|python| {
        let session = Session::new().file("app.py", program);
        let plain = Command::new(&python.path).arg("app.py").current_dir(session.path()).output().unwrap();
        let outcome = session.python(python, &["app.py"]);
        assert_eq!(outcome.stdout, String::from_utf8_lossy(&plain.stdout), "{}", python.name());
        clean(&outcome, python);
    });
}
