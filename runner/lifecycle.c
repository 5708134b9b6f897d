#include "runner/lifecycle.h"

/* ---- the answers: what follows, and what is done ---- */

/* clang-format off */
#define same    {SAME, 0}
#define no      {SAME, LC_REFUSE}
#define never   {SAME, LC_NEVER}
#define tell    {SAME, LC_TELL}
#define keep    {SAME, LC_TAKE}
#define take    {LC_STARTING, LC_FORGIVE | LC_END_NEXT | LC_TAKE | LC_START}
#define go      {LC_STARTING, LC_FORGIVE | LC_START}
#define wake    {LC_STARTING, LC_START}
#define anew    {LC_STARTING, LC_FORGIVE | LC_END | LC_START}
#define beside  {LC_SWITCHING, LC_FORGIVE | LC_END_NEXT | LC_BESIDE}
#define stop    {LC_STOPPED, LC_END}
#define pause   {LC_PAUSED, LC_END}
#define delete  {LC_DELETING, LC_END}
#define sleep   {LC_SLEEPING, LC_END_CUR}
#define yield   {LC_STARTING, LC_END_CUR | LC_TAKE_NEXT} /* it made room for its successor */
#define serve   {LC_RUNNING, LC_PROMOTE}
#define retry   {LC_BACKOFF, LC_PAUSE}
#define hold    {LC_RUNNING, LC_END_NEXT}   /* the successor failed: the old version goes on */
#define heir    {LC_STARTING, LC_TAKE_NEXT} /* the old one crashed: its successor is on its way */
#define fail    {LC_FAILED, 0}
#define forget  {LC_DELETING, LC_FORGET}
#define halt    {LC_SLEEPING, LC_END}
#define build   {LC_BUILDING, 0}
#define rebuild {LC_REBUILDING, 0}
#define built   {LC_SWITCHING, LC_BESIDE}
#define unbuilt {LC_UNBUILT, 0}
#define cancel  {LC_UNBUILT, LC_END_NEXT}
#define leave   {LC_BUILDING, LC_END_CUR | LC_TAKE_NEXT} /* it made room while its successor is built */
#define inherit {LC_BUILDING, LC_TAKE_NEXT}
#define wait    {LC_BUILDING, LC_END}                    /* the next runner builds it */
#define late    {LC_BUILDING, LC_END | LC_TAKE_NEXT}

#define SAME LC_STATE_COUNT /* the state stays */

#define ROW(EV, a, b, c, d, bu, e, f, re, ub, g, h, i, j) [EV_##EV] = {                            \
    [LC_EMPTY] = a, [LC_SLEEPING] = b, [LC_STARTING] = c, [LC_BACKOFF] = d, [LC_BUILDING] = bu,    \
    [LC_RUNNING] = e, [LC_SWITCHING] = f, [LC_REBUILDING] = re, [LC_UNBUILT] = ub,                 \
    [LC_FAILED] = g, [LC_STOPPED] = h, [LC_PAUSED] = i, [LC_DELETING] = j}

static const struct lc_step table[LC_EVENT_COUNT][LC_STATE_COUNT] = {
/*               EMPTY   SLEEPING STARTING BACKOFF BUILDING RUNNING SWITCHING REBUILDING UNBUILT FAILED STOPPED PAUSED DELETING */
ROW(DEPLOY,      take,   take,    take,    take,   take,    beside, beside,   beside,    take,   take,   take,   keep,   no    ),
ROW(START,       no,     go,      same,    go,     same,    same,   same,     same,      go,     go,     go,     go,     no    ),
ROW(STOP,        same,   stop,    stop,    stop,   stop,    stop,   stop,     stop,      stop,   stop,   same,   same,   no    ),
ROW(RESTART,     no,     go,      anew,    go,     same,    anew,   same,     same,      go,     go,     go,     go,     no    ),
ROW(PAUSE,       no,     pause,   pause,   pause,  pause,   pause,  pause,    pause,     pause,  pause,  pause,  same,   no    ),
ROW(RESUME,      no,     same,    same,    same,   same,    same,   same,     same,      no,     no,     no,     go,     no    ),
ROW(CANCEL,      no,     no,      no,      no,     cancel,  no,     no,       hold,      no,     no,     no,     no,     no    ),
ROW(DELETE,      delete, delete,  delete,  delete, delete,  delete, delete,   delete,    delete, delete, delete, delete, same  ),
ROW(WAKE,        tell,   wake,    tell,    tell,   tell,    tell,   tell,     tell,      tell,   tell,   tell,   tell,   tell  ),
ROW(IDLE,        never,  never,   never,   never,  never,   sleep,  yield,    leave,     never,  never,  never,  never,  never ),
ROW(READY,       never,  never,   serve,   never,  never,   never,  serve,    never,     never,  never,  never,  never,  never ),
ROW(FAIL,        never,  never,   retry,   never,  never,   never,  hold,     never,     never,  never,  never,  never,  never ),
ROW(FAIL_LAST,   never,  never,   fail,    never,  never,   never,  hold,     never,     never,  never,  never,  never,  never ),
ROW(CRASH,       never,  never,   never,   never,  never,   retry,  heir,     inherit,   never,  never,  never,  never,  never ),
ROW(CRASH_LAST,  never,  never,   never,   never,  never,   fail,   heir,     inherit,   never,  never,  never,  never,  never ),
ROW(RETRY,       never,  never,   never,   wake,   never,   never,  never,    never,     never,  never,  never,  never,  never ),
ROW(BUILD,       never,  never,   build,   never,  never,   never,  rebuild,  never,     never,  never,  never,  never,  never ),
ROW(BUILT,       never,  never,   never,   never,  wake,    never,  never,    built,     never,  never,  never,  never,  never ),
ROW(BUILD_FAIL,  never,  never,   never,   never,  unbuilt, never,  never,    hold,      never,  never,  never,  never,  never ),
ROW(EMPTIED,     same,   same,    same,    same,   same,    same,   same,     same,      same,   same,   same,   same,   forget),
ROW(SHUTDOWN,    same,   same,    halt,    halt,   wait,    halt,   halt,     late,      same,   same,   same,   same,   same  ),
};
/* clang-format on */

struct lc_step lifecycle_step(enum lc_state state, enum lc_event event)
{
    struct lc_step step = table[event][state];
    if (step.next == SAME)
        step.next = state;
    return step;
}

static const struct {
    enum proto_stage stage;
    bool wakes;
    const char *name;
} states[LC_STATE_COUNT] = {
#define X(NAME, stage, wakes) [LC_##NAME] = {stage, wakes, #NAME},
    LC_STATES(X)
#undef X
};

static const char *const events[LC_EVENT_COUNT] = {
#define X(NAME, text) [EV_##NAME] = text,
    LC_EVENTS(X)
#undef X
};

enum proto_stage lifecycle_stage(enum lc_state state)
{
    return states[state].stage;
}

bool lifecycle_wakes(enum lc_state state)
{
    return states[state].wakes;
}

enum lc_state lifecycle_state_of(enum proto_stage stage)
{
    for (enum lc_state s = 0; s < LC_STATE_COUNT; s++) {
        if (states[s].stage == stage)
            return s;
    }
    return LC_EMPTY;
}

const char *lifecycle_state_name(enum lc_state state)
{
    return states[state].name;
}

const char *lifecycle_event_name(enum lc_event event)
{
    return events[event];
}

const char *lifecycle_refusal(enum lc_state state, enum lc_event event)
{
    if (state == LC_DELETING)
        return "it is being deleted";
    if (state == LC_EMPTY)
        return "nothing was deployed yet; deploy it first";
    if (event == EV_RESUME && state == LC_STOPPED)
        return "it is stopped, not paused; start it instead";
    if (event == EV_CANCEL)
        return "nothing of it is being built";
    if (event == EV_RESUME && state == LC_UNBUILT)
        return "its build failed, it is not paused; start it instead";
    if (event == EV_RESUME && state == LC_FAILED)
        return "it failed, it is not paused; start it instead";
    return "that is not possible in its present stage";
}
