//! Which functions of the standard library, and of test runners, mean something for order when they are called: a table by
//! module and qualified name. What it is that they mean is done elsewhere.

/// What a call of such a function does; `self` is its first argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// What came before is before what follows an `Observe` of the same object.
    Signal,
    /// A `Signal` on return.
    SignalWhenDone,
    /// On return.
    Observe,
    /// On return, if it returns something true.
    ObserveIfTrue,
    /// The same two with an item: the function's second argument, and its result.
    Put,
    Get,
    /// Both: a barrier.
    Meet,
    /// A semaphore is made with its value.
    SemaphoreNew,
    SemaphoreAcquire,
    SemaphoreRelease,
    AsyncLockNew,
    AsyncSemaphoreNew,
    AsyncAcquire,
    AsyncRelease,
    /// `warnings._warn_unawaited_coroutine(coro)`.
    Unawaited,
    /// A pool's thread does what was handed to the pool (`_WorkItem.run`).
    Job,
    /// Another thread hands a callback to the event loop (`self`).
    SignalLoop,
    /// A callback is handed to the event loop (`Handle.__init__(callback, …)`).
    CallbackMade,
    /// It runs (`Handle._run`).
    CallbackRuns,
    /// A group of tasks is told that one of them (its second argument) is done.
    TaskDone,
    /// A proxy asks a manager (`_callmethod(methodname, args)`).
    ProxyCall,
    /// pytest's note of the current test: `(item, when)`.
    PytestStep,
    /// `TestCase.run`.
    UnittestRun,
}

impl Role {
    /// Is it the return of the function that means something?
    pub fn acts_on_return(self) -> bool {
        matches!(
            self,
            Role::Observe
                | Role::SignalWhenDone
                | Role::ObserveIfTrue
                | Role::Get
                | Role::Meet
                | Role::SemaphoreNew
                | Role::SemaphoreAcquire
                | Role::AsyncLockNew
                | Role::AsyncSemaphoreNew
                | Role::AsyncAcquire
                | Role::UnittestRun
                | Role::Job
                | Role::ProxyCall
        )
    }

    /// Is it already the call that means something? A lock of an event loop is waited for only if `acquire` gives way; what
    /// a queue's `get` is called on is still there when it returns.
    pub fn acts_on_entry(self) -> bool {
        !matches!(self, Role::AsyncAcquire | Role::Get)
    }

    /// Is what it was called on to be remembered for its return?
    pub fn is_remembered(self) -> bool {
        self.acts_on_return() && self.acts_on_entry()
    }
}

/// Functions whose call means something. `None` as the class: a function of the module.
const FUNCTIONS: &[(&str, &str, Role)] = &[
    ("threading", "Event.set", Role::Signal),
    ("threading", "Event.wait", Role::ObserveIfTrue),
    ("threading", "Event.is_set", Role::ObserveIfTrue),
    ("threading", "Barrier.wait", Role::Meet),
    ("threading", "Semaphore.__init__", Role::SemaphoreNew),
    ("threading", "Semaphore.acquire", Role::SemaphoreAcquire),
    ("threading", "Semaphore.release", Role::SemaphoreRelease),
    ("threading", "BoundedSemaphore.release", Role::SemaphoreRelease),
    ("queue", "Queue.put", Role::Put),
    ("queue", "Queue.get", Role::Get),
    ("queue", "Queue.task_done", Role::Signal),
    ("queue", "Queue.join", Role::Observe),
    ("concurrent.futures._base", "Future.set_result", Role::Signal),
    ("concurrent.futures._base", "Future.set_exception", Role::Signal),
    ("concurrent.futures._base", "Future.result", Role::Observe),
    ("concurrent.futures._base", "Future.exception", Role::Observe),
    ("concurrent.futures._base", "Future.done", Role::ObserveIfTrue),
    ("concurrent.futures.thread", "_WorkItem.run", Role::Job),
    // Who closes the server has waited for all its threads, also for those that it has forgotten since they ended.
    ("socketserver", "ThreadingMixIn.process_request_thread", Role::SignalWhenDone),
    ("socketserver", "ThreadingMixIn.server_close", Role::Observe),
    ("multiprocessing.pool", "IMapIterator._set", Role::Signal),
    ("multiprocessing.pool", "IMapUnorderedIterator._set", Role::Signal),
    ("multiprocessing.pool", "IMapIterator.next", Role::Observe),
    ("multiprocessing.managers", "BaseProxy._callmethod", Role::ProxyCall),
    ("asyncio.locks", "Event.set", Role::Signal),
    ("asyncio.locks", "Event.wait", Role::Observe),
    ("asyncio.locks", "Event.is_set", Role::ObserveIfTrue),
    ("asyncio.locks", "Barrier.wait", Role::Meet),
    ("asyncio.locks", "Condition.notify", Role::Signal),
    ("asyncio.locks", "Condition.wait", Role::Observe),
    ("asyncio.queues", "Queue.put_nowait", Role::Put),
    ("asyncio.queues", "Queue.get_nowait", Role::Get),
    ("asyncio.queues", "Queue.task_done", Role::Signal),
    ("asyncio.queues", "Queue.join", Role::Observe),
    ("asyncio.locks", "Lock.__init__", Role::AsyncLockNew),
    ("asyncio.locks", "Lock.acquire", Role::AsyncAcquire),
    ("asyncio.locks", "Lock.release", Role::AsyncRelease),
    ("asyncio.locks", "Semaphore.__init__", Role::AsyncSemaphoreNew),
    ("asyncio.locks", "Semaphore.acquire", Role::AsyncAcquire),
    ("asyncio.locks", "Semaphore.release", Role::AsyncRelease),
    ("asyncio.base_events", "BaseEventLoop.call_soon_threadsafe", Role::SignalLoop),
    ("asyncio.events", "Handle.__init__", Role::CallbackMade),
    ("asyncio.events", "Handle._run", Role::CallbackRuns),
    ("asyncio.taskgroups", "TaskGroup._on_task_done", Role::TaskDone),
    ("_pytest.runner", "_update_current_test_var", Role::PytestStep),
    ("unittest.case", "TestCase.run", Role::UnittestRun),
    ("warnings", "_warn_unawaited_coroutine", Role::Unawaited),
    ("_py_warnings", "_warn_unawaited_coroutine", Role::Unawaited),
];

pub fn role(module: &str, qualname: &str) -> Option<Role> {
    FUNCTIONS.iter().find(|(of, name, _)| *of == module && *name == qualname).map(|(_, _, role)| *role)
}
