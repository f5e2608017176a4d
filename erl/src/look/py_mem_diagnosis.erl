%% SPDX-License-Identifier: Apache-2.0
%%
%% What a worker's memory mostly is, in one word: which of these is the largest. What
%% is free counts a quarter more, because something can be done about it: where every
%% second block is free, that is what to look at.
%%
%%   python_objects      what objects take: small ones in arenas, and large ones
%%   fragmentation       free, but in pieces: in arenas that are not empty, and
%%                       between blocks of malloc that are in use
%%   freed_not_returned  free, and malloc keeps it: a trim gives it back
%%   c_heap              all else that is in memory and no file: C libraries
%%   children            what the other processes of its group have for themselves
%%
%% What is not known might be any of them; if that is the largest, there is no word.
%% Pure.
-module(py_mem_diagnosis).

-export([word/1]).
-export_type([word/0, known/0]).

-type word() :: python_objects | fragmentation | freed_not_returned | c_heap | children.
%% In bytes. `held' is what is resident or swapped out and belongs to no file.
-type known() :: #{held => non_neg_integer(),
                   arenas => #{bytes := non_neg_integer(), unused := non_neg_integer(), _ => _},
                   malloc => #{used := non_neg_integer(), free := non_neg_integer(),
                               pieces := non_neg_integer(), _ => _},
                   objects => non_neg_integer(),
                   children => #{uss | rss => non_neg_integer(), _ => _},
                   running => boolean(),        % a job, whose own objects nobody sees
                   _ => _}.

-spec word(known()) -> {ok, word()} | unknown.
word(Known) ->
    {Most, Word} = lists:max([{weight(Word) * Bytes, Word}
                              || {Word, Bytes} <- maps:to_list(parts(Known))]),
    case Word of
        unknown -> unknown;
        _ when Most =:= 0 -> unknown;
        _ -> {ok, Word}
    end.

weight(fragmentation) -> 5;
weight(freed_not_returned) -> 5;
weight(_) -> 4.

parts(Known) ->
    maps:merge(of_worker(Known), #{children => children(Known)}).

children(#{children := #{uss := Own}}) -> Own;
children(#{children := #{rss := Rss}}) -> Rss;
children(_) -> 0.

of_worker(#{held := Held, arenas := #{bytes := Arenas, unused := Unused}} = Known) ->
    {Kept, Pieces} = free(Held - Arenas, Known),
    Used = max(0, Held - Unused - Kept - Pieces),
    maps:merge(used(Used, Arenas - Unused, Known),
               #{fragmentation => Unused + Pieces, freed_not_returned => Kept});
of_worker(#{held := Held}) ->
    #{unknown => Held};
of_worker(_) ->
    #{}.

%% What malloc has free has already been given back to the kernel, as far as it does
%% not fit beside what is in use. What a trim leaves is the pieces.
free(Outside, #{malloc := #{used := Used, free := Free, pieces := Pieces}}) ->
    Resident = max(0, min(Free, Outside - Used)),
    InPieces = min(Pieces, Resident),
    {Resident - InPieces, InPieces};
free(_, _) ->
    {0, 0}.

%% Whether all that is neither free nor an object's belongs to C.
used(Used, _, #{malloc := _, objects := Objects} = Known) ->
    Rest = max(0, Used - Objects),
    case maps:get(running, Known, false) of
        true -> #{python_objects => Used - Rest, unknown => Rest};
        false -> #{python_objects => Used - Rest, c_heap => Rest}
    end;
used(Used, Small, Known) ->
    Objects = min(Used, maps:get(objects, Known, Small)),
    #{python_objects => Objects, unknown => Used - Objects}.
