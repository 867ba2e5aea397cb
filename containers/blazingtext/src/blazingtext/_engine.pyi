"""The C++ engine: reads corpora, trains word vectors, writes them as text. Sources: src/engine."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

class Corpus:
    """Text files as an array of word ids, with their vocabulary.

    Tokens are separated by any of space, tab, newline, carriage return, vertical tab, form feed and NUL; a newline ends
    a sentence. The files are read once, here.
    """

    def __init__(self, paths: Sequence[str], min_count: int, threads: int) -> None:
        """Reads the files.

        Raises:
            ValueError: a file is not UTF-8 text; the message names the file, the first such byte and its offset.
            OSError: a file cannot be read.
        """

    @property
    def tokens_read(self) -> int:
        """Every token of the files, also those below min_count; of all ranks together."""

    @property
    def bytes_read(self) -> int: ...
    @property
    def words(self) -> list[str]:
        """The words that occur at least min_count times or were asked for, most frequent first.

        Ties stand by first appearance, words that do not occur in the order in which they were asked for.
        """

    @property
    def counts(self) -> NDArray[np.int64]:
        """shape (V,): how often each word occurs. Read-only."""

    def tokens(self) -> NDArray[np.uint32]:
        """The word of each token of this part, shape (n,); 0x7FFFFFFF when it is not in the vocabulary. A copy.

        The last token of a sentence has the highest bit set.
        """

class CorpusPart:
    """The part of the files that one of several ranks reads: tokenised, its words counted, the vocabulary unknown.

    The files together are divided by bytes into stretches of at most a MiB, cut at separators, that ranks take in turn.
    """

    def __init__(self, paths: Sequence[str], threads: int, rank: int, ranks: int) -> None:
        """Raises:
        ValueError: the part is not UTF-8 text; the message names the file, the first such byte and its offset.
        OSError: a file cannot be read.
        """

    @property
    def counts(self) -> bytes:
        """What the other ranks must know of this part's words."""

    def encode(self, min_count: int, threads: int, others: Sequence[bytes], words: list[str] = ...) -> Corpus:
        """The part as word ids, with the vocabulary of all parts; takes what the part holds, so only once.

        Args:
            others: the `counts` of every other rank, in any order.
            words: are in the vocabulary however often they occur.
        Raises:
            ValueError: it was done before, or `others` are no counts.
        """

class VectorFile:
    """Word vectors in word2vec's text format (.vec, vectors.txt; also without the first line) or its binary one.

    The file is mapped; its numbers are read when they are copied.
    """

    def __init__(self, path: str, threads: int) -> None:
        """Maps the file and finds its words.

        Raises:
            ValueError: neither format, or cut short; the message names the file, and the line or the word.
            OSError: the file cannot be read.
        """

    @property
    def dim(self) -> int: ...
    @property
    def words(self) -> list[str]:
        """In the order of the file, and as often as they stand there."""

    @property
    def skipped(self) -> int:
        """Words left out because no corpus can hold them: not UTF-8, or with a separator inside."""

    def copy(self, matrix: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        """Row rows[i] of the matrix becomes the vector of word i, or nothing does where rows[i] < 0.

        Args:
            matrix: shape (any, dim), rows contiguous, may be padded.
            rows: shape (len(words),).
        Raises:
            ValueError: a line that is not a word and dim finite numbers; the message names the file and the line.
        """

class FormatError(ValueError):
    """A file is no fastText model that can be used here. The message gives the file, the offset and the reason."""

class StoredMatrix:
    """A matrix of a model file, which stays where it is: rows are copied, or decoded, when they are taken."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def quantised(self) -> bool: ...
    @property
    def numbers(self) -> NDArray[np.float32]:
        """shape (rows, dim): the matrix in the file, read-only and perhaps unaligned.

        Raises:
            ValueError: it is quantised.
        """

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """shape (len(rows), dim): some rows.

        Raises:
            IndexError: a row that is not from 0 to shape[0] - 1.
        """

class ModelFile:
    """fastText's .bin or .ftz, versions 11 and 12, mapped; processes that are forked off share it."""

    def __init__(self, path: str, instructions: str = "") -> None:
        """Maps the file.

        Args:
            instructions: that work on its rows, one of usable_instructions(), "" for the fastest.
        Raises:
            FormatError: it is no such model, or damaged.
            OSError: it cannot be read.
        """

    def hold_input(self) -> None:
        """Copy the input matrix, unless it is quantised, to large pages of memory; not while others use the model.

        Raises:
            MemoryError: there is not so much.
        """

    @property
    def version(self) -> int: ...
    @property
    def header(self) -> dict[str, Any]:
        """The fields of fasttext_format.Settings; max_char is 0 for classifiers of version 11."""

    @property
    def supervised(self) -> bool: ...
    @property
    def tokens(self) -> int:
        """Of the corpus it was trained on."""

    @property
    def words(self) -> list[str]:
        """In the order of the rows, a new list each time. What is not UTF-8 has replacement characters."""

    @property
    def labels(self) -> list[str]:
        """With their prefix, in the order of the rows of a classifier's output matrix."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """shape (words,): how often each word occurred."""

    @property
    def kept_buckets(self) -> NDArray[np.int64] | None:
        """shape (kept, 2): where only some hash buckets have rows, these and their places behind the words' rows."""

    @property
    def input(self) -> StoredMatrix:
        """A row for each word and then one for each hash bucket, or for each that was kept."""

    @property
    def output(self) -> StoredMatrix:
        """A row for each label of a classifier, else for each word, or none where it was left out."""

    def word(self, row: int) -> str:
        """Raises:
        IndexError: there are fewer words.
        """

    def find(self, word: str) -> int:
        """The row of a word, -1 when it is unknown."""

    def vectors(self, words: list[str]) -> NDArray[np.float32]:
        """shape (len(words), dim): as fastText's get_word_vector; zeros for a word of which nothing is known."""

    def sentence_vectors(self, texts: list[str]) -> NDArray[np.float32]:
        """shape (len(texts), dim): as fastText's get_sentence_vector; zeros for a text of which nothing is known."""

    def unit_vectors(self, threads: int) -> NDArray[np.float32]:
        """shape (words, dim): the vectors of all words, each made one long."""

class KeptAnswers:
    """Answers for words as they are sent, kept for the words that were last asked for.

    Args:
        most: answers; some more are kept.
    """

    def __init__(self, most: int) -> None: ...
    def get(self, word: str) -> bytes | None:
        """The answer for a word, if it is kept."""

    def keep(self, word: str, answer: bytes) -> None:
        """Keep a word's answer; an older one is replaced, and another word's may be let go."""

    def answer(self, request: bytes, most_words: int) -> bytes | list[str] | None:
        """The JSON list of the answers for the words of {"instances": ["...", ...]}.

        Returns:
            The words, where an answer is not kept. None where the request has more words or is anything else: one with
            escapes, with a configuration, or none that is valid.
        """

class Classifier:
    """Gives texts labels, as fastText's predict does; many threads may ask at once."""

    def __init__(self, model: ModelFile) -> None:
        """Raises:
        ValueError: the model is not supervised.
        """

    def answer(self, request: bytes) -> bytes | None:
        """The answer to {"instances": ["...", ...]}, as JSON: the best label of each text, as `predict` gives it.

        Returns:
            None where the request is anything else: one with escapes, with a configuration, or none that is valid.
        Raises:
            FloatingPointError: the model's weights give no numbers.
        """

    def predict(
        self, texts: Sequence[str], k: int | Sequence[int], threshold: float = 0.0
    ) -> list[dict[str, list[Any]]]:
        """The k best labels of each text whose probability is at least the threshold.

        Returns:
            {"label": [...], "prob": [...]} for each text, best first; probabilities are each 1e-5 too large.
        Raises:
            ValueError: a k below 1, or not as many as texts.
            UnicodeEncodeError: a text that holds half of a surrogate pair.
            FloatingPointError: the model's weights give no numbers.
        """

class Trainer:
    """Trains word vectors by skip-gram or CBOW with negative sampling on several threads.

    Where the corpus has so few different words that threads would spoil each other's work, fewer train. With one
    thread, equal arguments give vectors that are equal to the bit, however the words are divided among calls
    of `train`, on processors that choose the same instructions.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        mode: str,
        dim: int,
        window_size: int,
        negative_samples: int,
        batch_size: int,
        epochs: int,
        learning_rate: float,
        sampling_threshold: float,
        subwords: bool,
        min_char: int,
        max_char: int,
        buckets: int,
        seed: int,
        threads: int,
        rank: int = 0,
        instructions: str = "",
    ) -> None:
        """A training job for the tokens that the corpus holds.

        Args:
            rank: of this host among several; every rank begins with the same matrices and draws its own numbers.
            instructions: one of usable_instructions(), "" for the fastest.
        Raises:
            ValueError: the corpus has no words, or a value cannot be trained with.
            MemoryError: the matrices do not fit into memory.
        """

    def train(self, words: int) -> int:
        """Trains up to `words` more tokens and returns how many there were, 0 at the end.

        Raises:
            FloatingPointError: the learning rate is so high that the vectors grow beyond all bounds.
        """

    def pause(self) -> NDArray[np.uint64]:
        """Trains on to the end of each thread's sentence, and tells where they are: what `resume` takes.

        With one thread, a trainer that is given these matrices and resumes from here gives the vectors, to the bit,
        that this one would have given.

        Returns:
            shape (1 + 3 n,), for the engine alone to read.
        Raises:
            FloatingPointError: as in `train`.
        """

    def resume(self, paused: NDArray[np.uint64]) -> None:
        """Goes on where a trainer of the same corpus and settings, but for `threads`, was paused.

        The matrices are not part of it: they are to be written through `input` and `output`.

        Raises:
            ValueError: `paused` cannot come from such a trainer.
        """

    def check_finite(self) -> None:
        """Looks at all numbers of both matrices.

        Raises:
            FloatingPointError: one is not finite, which `train` may not have met yet.
        """

    @property
    def threads(self) -> int:
        """That train, at most those asked for."""

    @property
    def total_words(self) -> int:
        """Tokens that the corpus holds x epochs."""

    @property
    def words_done(self) -> int: ...
    @property
    def progress(self) -> float:
        """words_done / total_words."""

    @property
    def alpha(self) -> float:
        """The learning rate now: it falls linearly with progress, to a ten thousandth of the first."""

    @property
    def settings(self) -> dict[str, Any]:
        """Values of the constructor: mode, window_size, negative_samples, batch_size, epochs, learning_rate, subwords
        and seed."""

    @property
    def negative_table(self) -> NDArray[np.uint32]:
        """shape (V, 2): Walker's alias table of the words' counts to the power of 0.75. Read-only.

        A place is drawn evenly: with probability [place, 0] / 2^32 it gives its own word, else word [place, 1].
        """

    @property
    def keep_probabilities(self) -> NDArray[np.uint32]:
        """shape (V,): of keeping an occurrence of the word, in 2^-32; the largest value means always. Read-only."""

    @property
    def subword_starts(self) -> NDArray[np.uint64]:
        """shape (V + 1,), or (0,) without subwords: the rows of `input` that make up word w are
        subword_rows[subword_starts[w] : subword_starts[w + 1]], its own first. Read-only."""

    @property
    def subword_rows(self) -> NDArray[np.uint32]:
        """Rows of `input`; see subword_starts. Read-only."""

    @property
    def instructions(self) -> str:
        """The instruction set in use."""

    @property
    def input(self) -> NDArray[np.float32]:
        """shape (V + R, dim): the live input matrix, writable, with padded rows; R is 0 without subwords."""

    @property
    def bucket_ids(self) -> NDArray[np.uint32]:
        """shape (R,): the hash bucket of each row of `input` after the words'; the others have none. Read-only."""

    @property
    def output(self) -> NDArray[np.float32]:
        """shape (V, dim): the live output matrix, writable, with padded rows."""

    def word_vectors(self, rows: Sequence[int] | None = None) -> NDArray[np.float32]:
        """shape (len(rows), dim): a copy of some words' vectors, or of all (V, dim); with subwords the mean over the
        word and its n-grams.

        Raises:
            IndexError: a row that is not from 0 to V - 1.
        """

    def write_text_vectors(self, path: str) -> None:
        """Writes `word_vectors()` in word2vec's text format; each number is as short as still reads back the same.

        All threads format; memory for a few thousand numbers each is all it takes. The file appears under its name when
        it is complete.

        Raises:
            OSError: the file cannot be written.
        """

class Replica:
    """A copy of a trainer's matrices, against which changes are told: a row's change is its value less what it was.

    Of batch_skipgram: both matrices have a row for each word.
    """

    ROWS: Final[int]
    """Rows of each matrix whose changes are told at once, at most."""

    def __init__(self, trainer: Trainer) -> None:
        """Raises:
        MemoryError: a second pair of matrices does not fit into memory.
        """

    @property
    def input(self) -> NDArray[np.float32]:
        """shape (V, dim): the copy, with padded rows. Read-only."""

    @property
    def output(self) -> NDArray[np.float32]:
        """shape (V, dim): the copy, with padded rows. Read-only."""

    def tell(self, begin: int, end: int) -> NDArray[np.float32]:
        """shape (2 * (end - begin), padded dim): changes of the input rows from begin to end, then of the output rows.

        The array is the replica's own: the next call writes to it, too.
        """

    def take(
        self,
        begin: int,
        end: int,
        hosts: int,
        rates: NDArray[np.float32],
        of_inputs: tuple[NDArray[np.float32], NDArray[np.float32], float],
        of_outputs: tuple[NDArray[np.float32], NDArray[np.float32], float],
    ) -> None:
        """Makes of rows, here and in the trainer, what they were plus the damped sum that `tell`'s array holds by now.

        Along a direction of curvature h, a sum is multiplied by (1 - q^n) / (n (1 - q)), q = exp(-rate h), n = hosts.
        Then it is cut to the length of the row with the mean of the changes, or of that mean if it is longer.

        Args:
            rates: shape (2 * (end - begin),): learning rate x updates by one host, of each row that was told.
            of_inputs, of_outputs: the curvature for the rows of each matrix: orthonormal directions, shape (k, dim); h
                along each, shape (k,); h in all directions orthogonal to them.
        Raises:
            ValueError: the arrays' shapes do not fit.
        """

def join_phrases(
    paths: Sequence[str],
    output: str,
    *,
    passes: int,
    threshold: float,
    min_count: int,
    delimiter: str,
    threads: int,
) -> tuple[int, int, list[int]]:
    """Rewrites a corpus, line by line, with words that often occur side by side joined by the delimiter.

    Neighbours a and b are joined, from left to right, where (n(ab) - min_count) T / (n(a) n(b)) > threshold, n being
    counts and T all tokens (Mikolov et al. 2013, eq. 6, scaled by T as word2phrase does). Each pass may join what the
    one before has joined. The file appears under its name when it is complete.

    Returns:
        Tokens read and tokens written, and for each pass how many kinds of pairs were joined.
    Raises:
        ValueError: a setting out of range, or a file that is not UTF-8; the message names it and the offset.
        OSError: a file cannot be read or written.
    """

def quantise(
    matrix: NDArray[np.float32], block: int, seed: int, threads: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]:
    """Product quantisation of a matrix's rows, each as a length and a direction (Jegou, Douze and Schmid 2011).

    Args:
        matrix: shape (rows, dim), any strides, finite.
        block: dimensions that share one code; the last block has what is left of dim.
    Returns:
        The centroids of the directions, shape (256 x dim,): block after block 256 centroids of the block's dimensions;
        the directions' codes, shape (rows, blocks); the centroids of the lengths, shape (256,); the lengths' codes,
        shape (rows,). The same for any number of threads.
    Raises:
        ValueError: no rows, no dimensions, or a block or threads below 1.
    """

def subword_buckets(word: str, min_char: int, max_char: int, buckets: int) -> list[int]:
    """The hash buckets of a word's character n-grams, equal to fastText's."""

def update_batch(
    inputs: NDArray[np.float32], targets: NDArray[np.float32], learning_rate: float, instructions: str = ""
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Inputs and targets after one step of skip-gram with negative sampling; the first target is the positive one.

    This is the step that training is made of, open to inspection: g = learning_rate * (label - sigmoid(x . y)),
    x += g y, y += g x for every pair of an input x and a target y, with the values from before the step.

    Args:
        inputs: shape (n, dim), 1 <= n <= 32.
        targets: shape (m, dim), m >= 1.
    """

def usable_instructions() -> list[str]:
    """The instruction sets that this processor runs of those the engine was compiled for, fastest first."""

class ClassDictionary:
    """The words and labels of a text classifier, numbered as in fastText's dictionary.

    Args:
        corpus: read with min_count 0, so that it has every word.
        label_prefix: what tokens that are labels begin with.
        kept: words that are taken however rare.
    """

    def __init__(self, corpus: Corpus, min_count: int, label_prefix: str, kept: list[str] = ...) -> None: ...
    @property
    def tokens(self) -> int:
        """Tokens of the corpus, and one for the end of each line."""

    @property
    def words(self) -> list[str]:
        """Most frequent first; </s>, the end of a line, is among them."""

    @property
    def labels(self) -> list[str]:
        """With their prefix, most frequent first."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """Of the words and then of the labels; 0 for kept words that do not occur."""

class Examples:
    """Labelled lines as rows of the input matrix: those of their words, then those of their words' n-grams.

    Lines without a label or without anything known are left out.

    Raises:
        ValueError: the words and buckets are more than 2^32.
    """

    def __init__(
        self, corpus: Corpus, dictionary: ClassDictionary, *, word_ngrams: int, buckets: int, threads: int
    ) -> None: ...
    def encode(self, corpus: Corpus, dictionary: ClassDictionary, threads: int) -> Examples:
        """The examples of another corpus, as a model that is trained on these sees them."""

    def only(self, rows: list[int]) -> Examples:
        """The same examples for a model that has only these rows of the input matrix, ascending.

        Raises:
            ValueError: there is no such row.
        """

    def __len__(self) -> int: ...
    @property
    def rows(self) -> int:
        """Of all examples together."""

    @property
    def bucket_ids(self) -> NDArray[np.uint32]:
        """The hash buckets in use, ascending: those of the input matrix's rows behind the words'."""

class ClassTrainer:
    """Trains a text classifier.

    Args:
        label_weights: by which each label's gradient is multiplied; all alike when empty.
        instructions: name of a kernel of `usable_instructions()`, "" for the fastest.
    Raises:
        ValueError: there is no example, or a setting that cannot be trained with.
        MemoryError: the matrices do not fit into memory.
    """

    def __init__(
        self,
        examples: Examples,
        dictionary: ClassDictionary,
        *,
        loss: str,
        dim: int,
        epochs: int,
        learning_rate: float,
        seed: int,
        threads: int,
        label_weights: list[float] = ...,
        instructions: str = "",
    ) -> None: ...
    def train(self, examples: int) -> bool:
        """Train about so many more examples, but not beyond the end of the epoch; whether that is reached.

        Raises:
            FloatingPointError: the vectors have grown beyond all bounds.
        """

    def correct(self, examples: Examples, threads: int) -> int:
        """Of how many examples the most probable label is one of theirs."""

    def keep_weights(self) -> None:
        """Keep a copy of both matrices."""

    def restore_weights(self) -> None:
        """Go back to the copy.

        Raises:
            ValueError: there is none.
        """

    def check_finite(self) -> None:
        """
        Raises:
            FloatingPointError: a number of the matrices is not finite.
        """

    @property
    def epochs_done(self) -> int: ...
    @property
    def progress(self) -> float:
        """The share of all epochs' training that is done."""

    @property
    def alpha(self) -> float:
        """The learning rate."""

    @property
    def instructions(self) -> str: ...
    @property
    def input(self) -> NDArray[np.float32]:
        """The matrix itself, shape (words + buckets in use, dim)."""

    @property
    def output(self) -> NDArray[np.float32]:
        """The matrix itself, shape (labels, dim)."""
