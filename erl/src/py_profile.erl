%% SPDX-License-Identifier: Apache-2.0
%%
%% @doc Which code holds the memory, in a running system. A pool that is started with
%% the option `profile' samples what Python allocates, one sample in every 512
%% KiB, and keeps the stack of each sample until it is freed; that may stay on. What
%% the samples stand for is an estimate, which comes with its error. All functions take
%% a target, as those of {@link py_mem} do. `docs/profile.md' says more.
-module(py_profile).

-export([heap/1, heap/2, mark/1, start/1, stop/1, flame/2]).
-export_type([heap/0, site/0, heap_options/0]).

%% `sites' are what was asked for, those with most bytes first. `bytes' is what all
%% stacks have, within `error' (one standard error), estimated from `samples' samples.
%% `rest' is what C code has from malloc besides Python; it is missing if malloc does
%% not say. `rate' is how many bytes lie between two samples now, `thinned' how many
%% samples were dropped because there were too many, `missed' how many bytes have no
%% sample because there was no room, `unnamed' how many frames have no name for the same
%% reason. `on' is how many of the workers take samples now. `stacks' is a snapshot
%% like those of {@link py_mem:snapshot/1}.
-type heap() :: py_profile_sites:profile().

%% `error' is one standard error of `bytes'; `count' says in about how many blocks these
%% bytes are, and `workers' are the ids of the workers that have them.
-type site() :: py_profile_sites:row().

%% What is summed up by (`line'); how many rows there are (10); whether all that is in
%% use counts (`start'), or what was allocated since the last mark.
-type heap_options() :: #{by => line | file | traceback,
                          top => 1..100000,
                          since => start | mark}.

%% @equiv heap(Target, #{})
-spec heap(py:target()) -> {ok, heap()} | py:each() | {error, term()}.
heap(Target) ->
    heap(Target, #{}).

%% @doc Which lines allocated the memory that is in use: ``{ok, #{sites := [#{function :=
%% <<"remember">>, line := 12, bytes := _, error := _} | _], rest := _}} =
%% py_profile:heap(pdf)''. `#{by => file}' sums up by file, `#{by => traceback}' gives
%% `frames', the outermost one first, 64 at most. A pool's rows are summed over its
%% workers. `{error, {not_enabled, profile}}': the pool was started without the option.
-spec heap(py:target(), heap_options()) -> {ok, heap()} | py:each() | {error, term()}.
heap(Target, Options) ->
    py_profile_heap:heap(Target, py_args:profile(Options)).

%% @doc Sets a mark: `#{since => mark}' then means what was allocated since this call and
%% is still in use: ``ok = py_profile:mark(pdf)''. A worker has one mark, which everybody
%% who asks shares.
-spec mark(py:target()) -> ok | py:each() | {error, term()}.
mark(Target) ->
    py_profile_heap:set(Target, profile_mark).

%% @doc Takes samples again, in the workers that are there now, after `stop/1':
%% ``ok = py_profile:start(pdf)''. What was allocated in between has no samples.
-spec start(py:target()) -> ok | py:each() | {error, term()}.
start(Target) ->
    py_profile_heap:set(Target, {profile_switch, true}).

%% @doc Takes no more samples, in the workers that are there now: ``ok =
%% py_profile:stop(pdf)''. Samples of blocks that are in use are kept until these are
%% freed.
-spec stop(py:target()) -> ok | py:each() | {error, term()}.
stop(Target) ->
    py_profile_heap:set(Target, {profile_switch, false}).

%% @doc Writes a flame graph that any browser shows: ``ok = py_profile:flame(Profile,
%% "heap.svg")''. The profile is what `heap/1,2' gives, or a snapshot of {@link
%% py_mem:snapshot/1}. The wider a frame, the more bytes were allocated in it and in
%% what it has called; a click makes a frame as wide as the picture, and a search
%% marks those with a word in their names. The file is complete in itself.
-spec flame(heap() | py_mem:snapshot(), file:name_all()) -> ok | {error, file:posix() | term()}.
flame(Profile, File) ->
    file:write_file(File, py_profile_flame:svg(py_profile_sites:stacks(Profile))).
