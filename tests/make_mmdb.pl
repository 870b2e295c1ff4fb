#!/usr/bin/perl
# Writes a small Geo-IP database for tests: tests/make_mmdb.pl FILE. Standard input has one line per network:
# NETWORK COUNTRY [LATITUDE LONGITUDE]. A line with coordinates makes a record as in GeoLite2-City, a line without
# coordinates makes a record as in GeoLite2-Country. The country "-" means that the record has no country.
use strict;
use warnings;
use MaxMind::DB::Writer::Tree;

my ($file) = @ARGV;
my %types = (
    country   => 'map',
    iso_code  => 'utf8_string',
    location  => 'map',
    latitude  => 'double',
    longitude => 'double',
);
my $tree = MaxMind::DB::Writer::Tree->new(
    ip_version               => 6,
    record_size              => 24,
    database_type            => 'Sealcast-Test',
    languages                => ['en'],
    description              => { en => 'Made by tests/make_mmdb.pl' },
    map_key_type_callback    => sub { $types{ $_[0] } },
    remove_reserved_networks => 0,
);
while (<STDIN>) {
    my ( $network, $country, $latitude, $longitude ) = split;
    my %record;
    $record{country}  = { iso_code => $country } if $country ne '-';
    $record{location} = { latitude => $latitude, longitude => $longitude } if defined $longitude;
    $tree->insert_network( $network, \%record );
}
open my $out, '>:raw', "$file.new" or die "$file.new: $!";
$tree->write_tree($out);
close $out or die "$file.new: $!";
rename "$file.new", $file or die "$file: $!";
