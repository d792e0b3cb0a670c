//! Processes that a program starts: Python children are followed into the same report, other children are left alone.

mod harness;

use harness::{Session, each_python};

#[test]
fn children_of_every_kind_are_followed() {
    each_python(|python| {
        for (how, start) in [
            ("subprocess", "subprocess.run([sys.executable, '-c', 'print(\"child\", flush=True)'], check=True)"),
            (
                "through a shell",
                "subprocess.run(sys.executable + ' -c \"print(\\'child\\', flush=True)\"', shell=True, check=True)",
            ),
            ("fork", "pid = os.fork()\nif pid == 0:\n    print('child', flush=True); os._exit(0)\nos.waitpid(pid, 0)"),
            ("spawn", "os.spawnv(os.P_WAIT, sys.executable, [sys.executable, '-c', 'print(\"child\", flush=True)'])"),
            (
                "exec in the child",
                "pid = os.fork()\nif pid == 0:\n    os.execv(sys.executable, [sys.executable, '-c', 'print(\"child\", flush=True)'])\nos.waitpid(pid, 0)",
            ),
        ] {
            let program = format!("import os, subprocess, sys\n{start}\nprint('parent')\n");
            let outcome = Session::new().file("app.py", &program).python(python, &["app.py"]);
            assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "child\nparent\n"), "{how}: {}", outcome.stderr);
            assert!(outcome.coverage("processes") >= 2, "{how}: {} processes", outcome.coverage("processes"));
            assert_eq!(outcome.races(), [""; 0], "{how}");
        }
    });
}

#[test]
fn exec_goes_on_in_the_same_report() {
    each_python(|python| {
        let program = "import os, sys\nos.execv(sys.executable, [sys.executable, '-c', 'print(\"after\")'])";
        let outcome = Session::new().file("app.py", program).python(python, &["app.py"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "after\n"), "{}", outcome.stderr);
        assert!(outcome.coverage("processes") >= 1);
    });
}

#[test]
fn multiprocessing_works_with_every_start_method() {
    let program = "
        import multiprocessing, sys

        def double(number):
            return number * 2

        if __name__ == '__main__':
            context = multiprocessing.get_context(sys.argv[1])
            with context.Pool(2) as pool:
                print(pool.map(double, [1, 2, 3]))
            queue = context.Queue()
            worker = context.Process(target=queue.put, args=('sent',))
            worker.start()
            print(queue.get())
            worker.join()
            print(worker.exitcode)
    ";
    each_python(|python| {
        for method in ["fork", "spawn", "forkserver"] {
            let session = Session::new().file("app.py", program).option("--timeout").option("60s");
            let outcome = session.python(python, &["app.py", method]);
            assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "[2, 4, 6]\nsent\n0\n"), "{method}: {}", outcome.stderr);
            assert!(outcome.coverage("processes") >= 3, "{method}: {} processes", outcome.coverage("processes"));
        }
    });
}

#[test]
fn a_race_in_a_child_is_reported() {
    let child = "
        import threading, time
        total = 0

        def add():
            global total
            seen = total
            time.sleep(0.001)
            total = seen + 1

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ";
    each_python(|python| {
        let session = Session::new()
            .file("child.py", child)
            .file("app.py", "import subprocess, sys\nsys.exit(subprocess.run([sys.executable, 'child.py']).returncode)");
        let outcome = session.python(python, &["app.py"]);
        let races = outcome.races();
        assert!(races.iter().any(|race| race.starts_with("read-modify-write") && race.ends_with("total")), "{races:?}");
        assert_eq!(outcome.code, 66);
    });
}

#[test]
fn a_shell_script_that_starts_python_is_enough() {
    each_python(|python| {
        let script = format!("#!/bin/sh\necho before\n'{}' -c 'print(\"inside\")'\necho after\nexit 4\n", python.path.display());
        let session = Session::new().file("go.sh", &script);
        let outcome = session.run(["sh", "go.sh"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (4, "before\ninside\nafter\n"), "{}", outcome.stderr);
        assert_eq!(outcome.coverage("processes"), 1);
    });
}

#[test]
fn a_process_that_outlives_the_command_is_not_waited_for_long() {
    let program = "
        import os, threading, time

        def work():
            global done
            done = done + 1
            os.write(writing, b'.')

        done = 0
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(1)
            os.close(2)
            while True:
                threads = [threading.Thread(target=work) for _ in range(2)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                time.sleep(0.01)
        os.read(reading, 1)
        print('parent')
    ";
    each_python(|python| {
        let session = Session::new().file("app.py", program).option("--wait").option("200ms").option("--fail-on").option("never");
        let outcome = session.python(python, &["app.py"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "parent\n"), "{}", outcome.stderr);
        assert!(outcome.not_watched().contains("outlived the command"), "{}", outcome.not_watched());
        let pid: i32 = outcome.not_watched().split("process ").nth(1).unwrap().split([':', ' ']).next().unwrap().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    });
}

/// Writes its record in two parts.
const WRITER: &str = "
    import sys
    with open('log.txt', 'a') as log:
        log.write(sys.argv[1] + ' was ')
        log.flush()
        log.write('here\\n')
";

#[test]
fn children_of_one_shell_that_run_one_after_the_other_do_not_race() {
    each_python(|python| {
        let program = "
            import os, subprocess, sys
            os.system('%s writer.py a; %s writer.py b' % (sys.executable, sys.executable))
            subprocess.run('%s writer.py c && %s writer.py d' % (sys.executable, sys.executable), shell=True, check=True)
            with open('log.txt', 'a') as log:
                log.write('that ')
                log.flush()
                log.write('is all\\n')
        ";
        let outcome = Session::new().file("writer.py", WRITER).file("app.py", program).python(python, &["app.py"]);
        assert_eq!(outcome.races(), [""; 0], "{}", outcome.stderr);
    });
}
